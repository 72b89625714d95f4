"""What a start removes from a bucket: the files of savers that died long ago, and nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from athens_proxy.errors import ModuleNotFound, StorageError
from athens_proxy.storage import layout
from athens_proxy.storage.object_claim import Claim
from athens_proxy.storage.object_client import ObjectClient
from athens_proxy.storage.object_layout import record_key
from athens_proxy.storage.object_store import ObjectStorage
from support.modules_fixture import SampleModule
from support.object_stores import OpenStorage

M = SampleModule()
KEPT = SampleModule(version="v1.1.0")
LEASE_S = 1.0
BEARABLE_LEASE_S = 4.0  # a busy machine may hold a renewal up
ANY_AGE_S = -5.0


async def keys_of(client: ObjectClient) -> set[str]:
    return {key async for key in client.keys("")}


async def dead_save(storage: ObjectStorage, scratch: Path) -> None:
    """A save that puts the go.mod, and breaks off before the zip is whole."""
    fetched = M.fetched(scratch)
    with pytest.raises((OSError, StorageError)):
        await storage.save(replace(fetched, zip_path=scratch / "gone.zip"))


@pytest.fixture
async def store(open_storage: OpenStorage) -> ObjectStorage:
    """A store whose claims lapse soon, with one committed version."""
    storage: ObjectStorage = await open_storage(lease_s=LEASE_S)
    return storage


async def test_what_a_dead_saver_left_is_removed_and_a_committed_version_is_not(
    store: ObjectStorage, client: ObjectClient, scratch: Path
) -> None:
    await store.save(KEPT.fetched(scratch))
    committed = await keys_of(client)
    await dead_save(store, scratch)
    assert await keys_of(client) > committed

    swept = await store.sweep(older_than_s=ANY_AGE_S)

    assert swept == 1
    assert await keys_of(client) == committed
    assert await store.mod(KEPT.wanted) == KEPT.mod
    with pytest.raises(ModuleNotFound):
        await store.info(M.wanted)
    await store.save(M.fetched(scratch))
    assert await store.mod(M.wanted) == M.mod


async def test_a_young_left_over_may_be_of_a_saver_at_work_and_stays(
    store: ObjectStorage, client: ObjectClient, scratch: Path
) -> None:
    await dead_save(store, scratch)
    before = await keys_of(client)

    assert await store.sweep() == 0
    assert await keys_of(client) >= before


async def test_a_version_that_was_committed_meanwhile_loses_only_the_note(
    store: ObjectStorage, client: ObjectClient, scratch: Path
) -> None:
    await dead_save(store, scratch)
    await store.save(M.fetched(scratch))

    assert await store.sweep(older_than_s=ANY_AGE_S) == 0

    assert not any("/saves/" in key for key in await keys_of(client))
    async with await store.open_zip(M.wanted) as stored:
        assert b"".join([chunk async for chunk in stored.chunks()]) == M.zip


@pytest.mark.parametrize("backend", ["s3"], indirect=True)
async def test_files_that_a_live_saver_holds_are_left_alone(
    open_storage: OpenStorage, client: ObjectClient, scratch: Path
) -> None:
    store = await open_storage(lease_s=BEARABLE_LEASE_S)
    await dead_save(store, scratch)
    await client.delete(record_key("", layout.h1_record(M.wanted)))
    holder = Claim(client, record_key("", layout.h1_record(M.wanted)), b"h1:other\n", lease_s=BEARABLE_LEASE_S)
    assert await holder.taken()
    before = await keys_of(client)
    stop = asyncio.Event()

    async def until_swept() -> None:
        await stop.wait()

    working = asyncio.create_task(holder.work(until_swept()))
    swept = await store.sweep(older_than_s=ANY_AGE_S)
    stop.set()
    await working

    assert swept == 0
    assert await keys_of(client) == before
