"""Every store that the contract suite runs against: one entry per backend, object stores on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from athens_proxy.storage.disk import open_disk_storage
from athens_proxy.storage.memory import MemoryStorage
from athens_proxy.storage.mongo import open_mongo_storage
from athens_proxy.storage.object_store import ObjectStorage
from athens_proxy.storage.storage import Storage
from support.mongo_server import MongoServer, mongo_server
from support.object_fixtures import azure_server, gcs_server, minio_server, versitygw_server
from support.object_servers import ObjectServer
from support.object_stores import BACKENDS, SERVER_OF, SUMS, new_bucket, object_client, object_layout
from support.store_server import served_storage
from support.stored_files import FilesInBucket, FilesInMongo, FilesOnDisk, StoredFiles

STORES = ("disk", "memory", "mongo", "external", *BACKENDS)
__all__ = ["azure_server", "gcs_server", "minio_server", "mongo_server", "versitygw_server"]


@pytest.fixture(params=STORES)
def backend(request: pytest.FixtureRequest) -> str:
    """The backend by name."""
    name: str = request.param
    return name


@dataclass(frozen=True)
class Opened:
    """An empty store, and the files behind it where it has any."""

    storage: Storage
    files: StoredFiles | None = None


@pytest.fixture
async def opened(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opened]:
    """An empty store of each backend."""
    async with AsyncExitStack() as stack:
        if backend == "external":
            external = await stack.enter_async_context(served_storage(tmp_path))
            yield Opened(external, FilesOnDisk(tmp_path / "served"))
            return
        found = await _opened(backend, request, tmp_path)
        stack.push_async_callback(found.storage.close)
        yield found


@pytest.fixture
def storage(opened: Opened) -> Storage:
    """An empty store of each backend."""
    return opened.storage


@pytest.fixture
def stored_files(opened: Opened) -> StoredFiles:
    """The files behind it; a store in memory has none."""
    assert opened.files is not None
    return opened.files


async def _opened(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    if backend == "memory":
        return Opened(MemoryStorage())
    if backend == "disk":
        root = tmp_path / "store"
        return Opened(open_disk_storage(root, sums=SUMS, create=True), FilesOnDisk(root))
    if backend == "mongo":
        mongo: MongoServer = request.getfixturevalue("mongo_server")
        settings = mongo.new_settings()
        return Opened(await open_mongo_storage(settings, sums=SUMS), FilesInMongo(settings))
    server: ObjectServer = request.getfixturevalue(SERVER_OF[backend])
    client, keys = await object_client(backend, server.url, new_bucket(backend, server)), object_layout(backend)
    return Opened(ObjectStorage(client, keys, sums=SUMS), FilesInBucket(client, keys))


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where fetched zips wait to be saved."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder
