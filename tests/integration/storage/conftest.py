"""What the tests of object stores share: servers, and an empty store in a bucket of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from athens_proxy.storage.object_client import ObjectClient
from athens_proxy.storage.object_layout import ObjectLayout
from athens_proxy.storage.object_store import ObjectStorage
from support.mongo_server import mongo_server
from support.object_fixtures import azure_server, gcs_server, minio_server, versitygw_server
from support.object_servers import ObjectServer
from support.object_stores import (
    BACKENDS,
    SERVER_OF,
    OpenStorage,
    new_bucket,
    object_client,
    object_layout,
    object_storage,
)

__all__ = ["azure_server", "gcs_server", "minio_server", "mongo_server", "versitygw_server"]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of store by name."""
    name: str = request.param
    return name


@pytest.fixture
def server(backend: str, request: pytest.FixtureRequest) -> ObjectServer:
    """The server behind it."""
    found: ObjectServer = request.getfixturevalue(SERVER_OF[backend])
    return found


@pytest.fixture
def bucket(backend: str, server: ObjectServer) -> str:
    """A bucket of this test's own."""
    return new_bucket(backend, server)


@pytest.fixture
async def open_storage(backend: str, server: ObjectServer, bucket: str) -> AsyncIterator[OpenStorage]:
    """Another store in this test's bucket: `await open_storage(prefix="…")`; closed with the test."""
    async with AsyncExitStack() as stack:

        async def open_one(*, prefix: str = "", lease_s: float = 30.0) -> ObjectStorage:
            storage = await object_storage(backend, server.url, bucket, prefix=prefix, lease_s=lease_s)
            stack.push_async_callback(storage.close)
            return storage

        yield open_one


@pytest.fixture
async def storage(open_storage: OpenStorage) -> ObjectStorage:
    """An empty store."""
    return await open_storage()


@pytest.fixture
async def client(backend: str, server: ObjectServer, bucket: str) -> AsyncIterator[ObjectClient]:
    """The bucket itself, to put and look at single objects."""
    opened = await object_client(backend, server.url, bucket)
    yield opened
    await opened.close()


@pytest.fixture
def keys(backend: str) -> ObjectLayout:
    """Where the files of a version lie in it."""
    return object_layout(backend)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where fetched zips wait to be saved."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder
