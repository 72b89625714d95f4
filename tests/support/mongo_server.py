"""A real server of MongoDB's protocol on loopback: FerretDB with its SQLite backend, data in a temporary folder."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from athens_proxy.storage.mongo import MongoSettings, MongoStorage, open_mongo_storage
from localcluster import binaries
from support.object_stores import SUMS
from support.ports import free_port
from support.processes import RunningProcess, accepts_connections, inherited, started

READY_DEADLINE_S = 60.0


@dataclass(frozen=True)
class MongoServer:
    """A running server.

    Attributes:
        url: its address.
        process: the process that serves it.
    """

    url: str
    process: RunningProcess

    @property
    def port(self) -> int:
        """Where it listens on the loopback address."""
        return int(self.url.rstrip("/").rpartition(":")[2])

    def new_settings(self) -> MongoSettings:
        """A database that no test has used."""
        return MongoSettings(self.url, f"athens_{uuid.uuid4().hex[:12]}")

    async def new_storage(self) -> MongoStorage:
        """An empty store."""
        return await open_mongo_storage(self.new_settings(), sums=SUMS)


@contextmanager
def ferretdb(folder: Path, *, port: int = 0) -> Iterator[MongoServer]:
    """A server that accepts connections; stopped when the context ends.

    Args:
        folder: for its data, which another server may have left.
        port: where it listens; a free one if 0.
    """
    port = port or free_port()
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    argv: list[str | Path] = [binaries.ensure("ferretdb"), f"127.0.0.1:{port}", data]
    with started("ferretdb", argv, env=inherited("PATH"), cwd=folder, log=folder / "ferretdb.log") as process:
        process.wait_until(lambda: accepts_connections(port), what="listening", deadline_s=READY_DEADLINE_S)
        yield MongoServer(f"mongodb://127.0.0.1:{port}/", process)


@pytest.fixture(scope="session")
def mongo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """FerretDB; a conftest that wants it imports it by name."""
    with ferretdb(tmp_path_factory.mktemp("mongo")) as running:
        yield running
