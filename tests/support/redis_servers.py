"""Real Redis servers on loopback: one, with a password, with TLS, six as a cluster, a master with a sentinel."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.ports import free_port
from support.processes import RunningProcess, accepts_connections, inherited, started

DEADLINE_S = 30.0
CLUSTER_NODES = 6
_NO_DISK = ("--save", "", "--appendonly", "no")


@dataclass(frozen=True)
class RedisServer:
    """A running server.

    Attributes:
        port: on 127.0.0.1.
        process: to kill it half-way.
    """

    port: int
    process: RunningProcess

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextmanager
def redis(folder: Path, *options: str, port: int = 0) -> Iterator[RedisServer]:
    """One server; `options` as on its command line."""
    with _server("redis-server", folder, [*_NO_DISK, *options], port=port or free_port()) as server:
        yield server


@contextmanager
def redis_tls(folder: Path, *options: str) -> Iterator[RedisServer]:
    """One server that speaks TLS alone."""
    port = free_port()
    listen = ["--port", "0", "--tls-port", str(port)]
    with _server("redis-server", folder, [*_NO_DISK, *listen, *options], port=port) as server:
        yield server


@contextmanager
def cluster(folder: Path) -> Iterator[list[RedisServer]]:
    """Six servers as a cluster of three masters and three replicas."""
    options = [*_NO_DISK, "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"]
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                _server("redis-server", folder / f"node-{number}", [*options, "--cluster-port", str(free_port())])
            )
            for number in range(CLUSTER_NODES)
        ]
        create = ["--cluster", "create", *(s.endpoint for s in servers), "--cluster-replicas", "1", "--cluster-yes"]
        redis_cli(servers[0], *create)
        for server in servers:
            server.process.wait_until(
                lambda server=server: "cluster_state:ok" in redis_cli(server, "cluster", "info"),  # type: ignore[misc]
                what="part of the cluster",
                deadline_s=DEADLINE_S,
            )
        yield servers


@contextmanager
def sentinel(
    folder: Path, master: RedisServer, *, name: str, password: str = "", auth: str = "", down_after_ms: int = 60_000
) -> Iterator[RedisServer]:
    """A sentinel that watches a master.

    Args:
        folder: for its files.
        master: the server it watches.
        name: under which it watches.
        password: of the sentinel itself.
        auth: the master's password.
        down_after_ms: after so much silence it takes the master for dead, which a busy machine must not bring about.
    """
    folder.mkdir(parents=True)
    lines = [
        f"sentinel monitor {name} 127.0.0.1 {master.port} 1",
        f"sentinel down-after-milliseconds {name} {down_after_ms}",
    ]
    lines += [f"sentinel auth-pass {name} {auth}"] if auth else []
    lines += [f"requirepass {password}"] if password else []
    config = folder / "sentinel.conf"
    config.write_text("\n".join([*lines, ""]))
    with _server("redis-sentinel", folder, [], config=config) as server:
        yield server


def redis_cli(server: RedisServer, *arguments: str) -> str:
    """What `redis-cli` prints; fails the test when it fails."""
    done = subprocess.run(
        ["redis-cli", "-p", str(server.port), *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, f"redis-cli {arguments}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


@contextmanager
def _server(
    program: str, folder: Path, options: Sequence[str], *, port: int = 0, config: Path | None = None
) -> Iterator[RedisServer]:
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    has_port = "--port" in options
    listen = [] if has_port else ["--port", str(port)]
    argv = [program, *([str(config)] if config else []), "--bind", "127.0.0.1", *listen, *options]
    with started(program, argv, env=inherited("PATH"), cwd=folder, log=folder / f"{program}.log") as process:
        process.wait_until(lambda: accepts_connections(port), what="listening", deadline_s=DEADLINE_S)
        yield RedisServer(port, process)
