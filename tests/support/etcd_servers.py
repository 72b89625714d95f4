"""A real etcd on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.exchange import ask
from support.ports import free_port
from support.processes import RunningProcess, accepts_connections, inherited, started

DEADLINE_S = 30.0


@dataclass(frozen=True)
class EtcdServer:
    """A running server: its client port on 127.0.0.1, and its process, to kill it half-way."""

    port: int
    process: RunningProcess

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextmanager
def etcd(folder: Path) -> Iterator[EtcdServer]:
    """One member, healthy, with its data below the folder."""
    port, peer_port = free_port(), free_port()
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    argv = [
        "etcd",
        f"--data-dir={folder / 'data'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
    ]
    folder.mkdir(parents=True, exist_ok=True)
    with started("etcd", argv, env=inherited("PATH"), cwd=folder, log=folder / "etcd.log") as process:
        process.wait_until(lambda: accepts_connections(port), what="listening", deadline_s=DEADLINE_S)
        process.wait_until(lambda: ask(client, "/health").status == 200, what="healthy", deadline_s=DEADLINE_S)
        yield EtcdServer(port, process)
