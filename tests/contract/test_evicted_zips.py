"""A zip that was taken away (`Storage.delete_zip`) leaves a version that still lists and comes back only as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from athens_proxy.errors import ChecksumMismatch, ModuleNotFound, NotSupported
from athens_proxy.storage.storage import Storage, StoredSizes
from support.modules_fixture import SampleModule

M = SampleModule()
LARGE = SampleModule("example.com/large", files={"noise.bin": bytes(i * i % 251 for i in range(900_000))})


@pytest.fixture(autouse=True)
async def saved(storage: Storage, scratch: Path) -> None:
    for module in (M, LARGE):
        await storage.save(module.fetched(scratch))


async def evicted(storage: Storage, backend: str) -> bool:
    """Take the zip of M away, where the store can do that."""
    if backend != "external":
        await storage.delete_zip(M.wanted)
        return True
    with pytest.raises(NotSupported, match="bound the store where it is kept"):
        await storage.delete_zip(M.wanted)
    return False


async def zip_of(storage: Storage, module: SampleModule) -> bytes:
    async with await storage.open_zip(module.wanted) as stored:
        return b"".join([chunk async for chunk in stored.chunks()])


async def test_an_evicted_zip_is_gone_and_the_rest_of_its_version_stays(storage: Storage, backend: str) -> None:
    if not await evicted(storage, backend):
        return

    with pytest.raises(ModuleNotFound):
        await storage.open_zip(M.wanted)
    assert await storage.info(M.wanted) == M.info
    assert await storage.mod(M.wanted) == M.mod
    assert await storage.versions(M.wanted.path) == ["v1.0.0"]
    assert M.wanted in (await storage.catalog(token="", limit=10)).entries
    assert await zip_of(storage, LARGE) == LARGE.zip


async def test_an_evicted_zip_comes_back_under_its_own_sum(storage: Storage, scratch: Path, backend: str) -> None:
    if not await evicted(storage, backend):
        return
    other = SampleModule(files={"m.go": b"package evil\n"})

    with pytest.raises(ChecksumMismatch, match=r"h1:.*h1:"):
        await storage.save(other.fetched(scratch))
    with pytest.raises(ModuleNotFound):
        await storage.open_zip(M.wanted)
    await storage.save(M.fetched(scratch))

    assert await zip_of(storage, M) == M.zip


async def test_evicting_twice_is_fine_and_an_absent_version_is_not_found(storage: Storage, backend: str) -> None:
    if not await evicted(storage, backend):
        return

    await storage.delete_zip(M.wanted)

    with pytest.raises(ModuleNotFound):
        await storage.delete_zip(SampleModule(version="v9.0.0").wanted)


async def test_sizes_are_those_of_the_files(storage: Storage, backend: str) -> None:
    for module in (M, LARGE):
        sizes = await storage.sizes(module.wanted)
        assert sizes == StoredSizes(len(module.zip), len(module.info) + len(module.mod))

    if await evicted(storage, backend):
        assert await storage.sizes(M.wanted) == StoredSizes(None, len(M.info) + len(M.mod))
    with pytest.raises(ModuleNotFound):
        await storage.sizes(SampleModule(version="v9.0.0").wanted)
