"""Every store that the contract suite runs against: one entry per backend, object stores on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from athens_proxy.storage.disk import open_disk_storage
from athens_proxy.storage.memory import MemoryStorage
from athens_proxy.storage.storage import Storage
from support.mongo_server import MongoServer, ferretdb
from support.object_fixtures import azure_server, gcs_server, minio_server, versitygw_server
from support.object_servers import ObjectServer
from support.object_stores import BACKENDS, SERVER_OF, SUMS, new_bucket, object_storage
from support.store_server import served_storage

__all__ = ["azure_server", "gcs_server", "minio_server", "versitygw_server"]


@pytest.fixture(scope="session")
def mongo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """FerretDB."""
    with ferretdb(tmp_path_factory.mktemp("mongo")) as running:
        yield running


@pytest.fixture(params=["disk", "memory", "mongo", "external", *BACKENDS])
def backend(request: pytest.FixtureRequest) -> str:
    """The backend by name."""
    name: str = request.param
    return name


@pytest.fixture
async def storage(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    """An empty store of each backend."""
    if backend == "external":
        async with served_storage(tmp_path) as external:
            yield external
        return
    opened = await _opened(backend, request, tmp_path)
    yield opened
    await opened.close()


async def _opened(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if backend == "memory":
        return MemoryStorage()
    if backend == "disk":
        return open_disk_storage(tmp_path / "store", sums=SUMS, create=True)
    if backend == "mongo":
        mongo: MongoServer = request.getfixturevalue("mongo_server")
        return await mongo.new_storage()
    server: ObjectServer = request.getfixturevalue(SERVER_OF[backend])
    return await object_storage(backend, server.url, new_bucket(backend, server))


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where fetched zips wait to be saved."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder
