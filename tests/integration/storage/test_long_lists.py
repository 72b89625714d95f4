"""Lists and catalogues that are longer than one page of the service behind them are complete."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from athens_proxy.modules import ModulePath
from athens_proxy.storage.disk import open_disk_storage
from athens_proxy.storage.storage import Storage
from support.object_servers import ObjectServer, make_s3_bucket, new_name
from support.object_stores import SUMS, object_storage

PATH = ModulePath.parse("example.com/m")
VERSIONS = [f"v1.{minor}.{patch}" for minor in range(50) for patch in range(100)]
NEIGHBOURS = ("example.com/m-other", "example.com/m/v2", "example.com/l")


def fill(root: Path, name: Callable[[str, str], tuple[str, ...]]) -> None:
    """Every version of the module, and one of each neighbour, as files."""
    neighbours = [(path, "v2.0.0" if path.endswith("/v2") else "v1.0.0") for path in NEIGHBOURS]
    for path, version in [*((PATH.text, version) for version in VERSIONS), *neighbours]:
        for file in name(path, version):
            target = root / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(b"{}")


def folders(path: str, version: str) -> tuple[str, ...]:
    folder = f"{path}/{version}"
    return (f"{folder}/go.mod", f"{folder}/source.zip", f"{folder}/{version}.info")


def keys(path: str, version: str) -> tuple[str, ...]:
    return tuple(f"{path}/@v/{version}.{kind}" for kind in ("info", "mod", "zip"))


@pytest.fixture(scope="module", params=["disk", "s3"])
def open_long_store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Awaitable[Storage]]:
    """Opens a store that was filled past us."""
    if request.param == "disk":
        root = tmp_path_factory.mktemp("long")
        fill(root, folders)

        async def open_disk() -> Storage:
            return open_disk_storage(root, sums=SUMS, create=False)

        return open_disk
    server: ObjectServer = request.getfixturevalue("versitygw_server")
    bucket = make_s3_bucket(server, new_name())
    fill(server.data / bucket, keys)

    async def open_bucket() -> Storage:
        return await object_storage("s3", server.url, bucket)

    return open_bucket


@pytest.fixture
async def long_store(open_long_store: Callable[[], Awaitable[Storage]]) -> AsyncIterator[Storage]:
    storage = await open_long_store()
    yield storage
    await storage.close()


async def test_five_thousand_versions_are_listed_in_order(long_store: Storage) -> None:
    assert await long_store.versions(PATH) == VERSIONS


async def test_pages_of_the_catalogue_over_pages_of_the_service_lose_and_double_nothing(long_store: Storage) -> None:
    token, entries, sizes = "", [], []
    while True:
        page = await long_store.catalog(token=token, limit=1_700)
        entries += [str(entry) for entry in page.entries]
        sizes.append(len(page.entries))
        token = page.next_token
        if not token:
            break

    assert sizes == [1_700, 1_700, 1_603]
    assert len(set(entries)) == len(entries)
    assert {f"{PATH}@{version}" for version in VERSIONS} < set(entries)
