"""What a bucket holds after saves that competed, broke off, or met what Athens left."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from athens_proxy.errors import ChecksumMismatch, ModuleNotFound
from athens_proxy.storage import layout
from athens_proxy.storage.object_client import ObjectClient
from athens_proxy.storage.object_layout import ObjectLayout, record_key
from athens_proxy.storage.storage import Storage
from support.modules_fixture import SampleModule
from support.object_stores import OpenStorage

M = SampleModule(files={"noise.bin": bytes(i * i % 251 for i in range(300_000))})
OTHER = SampleModule(files={"noise.bin": bytes(i * i % 241 for i in range(300_000))}, go_mod=b"module example.com/m\n")
SHORT_LEASE_S = 1.5


async def zip_of(storage: Storage, module: SampleModule) -> bytes:
    async with await storage.open_zip(module.wanted) as stored:
        return b"".join([chunk async for chunk in stored.chunks()])


async def is_whole(storage: Storage, module: SampleModule) -> bool:
    return (await zip_of(storage, module), await storage.mod(module.wanted)) == (module.zip, module.mod)


def record_of(module: SampleModule) -> str:
    return record_key("", layout.h1_record(module.wanted))


async def put(client: ObjectClient, key: str, data: bytes) -> None:
    await client.write(key, data, content_type="application/octet-stream")


async def test_of_savers_with_different_bytes_one_wins_whole_and_the_others_are_told(
    open_storage: OpenStorage, scratch: Path
) -> None:
    stores = [await open_storage() for _ in range(4)]
    modules = [M, OTHER, M, OTHER]

    results = await asyncio.gather(
        *(store.save(module.fetched(scratch)) for store, module in zip(stores, modules, strict=True)),
        return_exceptions=True,
    )

    won = M if await is_whole(stores[0], M) else OTHER
    assert await is_whole(stores[0], won)
    assert await stores[0].info(won.wanted) == won.info
    for module, result in zip(modules, results, strict=True):
        assert (result is None) == (module is won), results
    assert all(isinstance(result, ChecksumMismatch) for result in results if result is not None)


@pytest.mark.parametrize("left", [("mod",), ("zip",), ("mod", "zip")])
async def test_files_without_a_commit_mark_are_absent_and_overwritten(
    open_storage: OpenStorage, client: ObjectClient, keys: ObjectLayout, scratch: Path, left: tuple[str, ...]
) -> None:
    storage = await open_storage()
    for file in left:
        await put(client, getattr(keys, file)(M.wanted), b"left by a saver that was killed")

    for ask in (storage.info, storage.mod, storage.open_zip):
        with pytest.raises(ModuleNotFound):
            await ask(M.wanted)
    assert await storage.versions(M.wanted.path) == []
    assert (await storage.catalog(token="", limit=10)).entries == ()
    await storage.save(M.fetched(scratch))

    assert await is_whole(storage, M)


async def test_the_claim_of_a_dead_saver_of_other_bytes_is_taken_over(
    open_storage: OpenStorage, client: ObjectClient, keys: ObjectLayout, scratch: Path
) -> None:
    dead = OTHER.fetched(scratch)
    await put(client, record_of(OTHER), f"{dead.zip_h1}\n{dead.mod_h1}\n".encode())
    await put(client, keys.zip(OTHER.wanted), OTHER.zip)
    storage = await open_storage(lease_s=SHORT_LEASE_S)

    await storage.save(M.fetched(scratch))

    assert await is_whole(storage, M)
    assert (await storage.read_record(layout.h1_record(M.wanted))).decode().splitlines()[0] == M.fetched(scratch).zip_h1


async def test_a_dead_saver_of_the_same_bytes_delays_nobody(
    open_storage: OpenStorage, client: ObjectClient, scratch: Path
) -> None:
    fetched = M.fetched(scratch)
    await put(client, record_of(M), f"{fetched.zip_h1}\n{fetched.mod_h1}\n".encode())
    storage = await open_storage(lease_s=3600)

    async with asyncio.timeout(60):
        await storage.save(fetched)

    assert await is_whole(storage, M)


@pytest.mark.parametrize("missing", ["mod", "zip"])
async def test_a_committed_version_that_lacks_a_file_is_completed_by_the_same_bytes_only(
    open_storage: OpenStorage, client: ObjectClient, keys: ObjectLayout, scratch: Path, missing: str
) -> None:
    """Athens writes the three objects side by side, so a killed one leaves any two; eviction takes the zip."""
    storage = await open_storage()
    await storage.save(M.fetched(scratch))
    await client.delete(getattr(keys, missing)(M.wanted))
    with pytest.raises(ModuleNotFound):
        await (storage.mod if missing == "mod" else storage.open_zip)(M.wanted)

    with pytest.raises(ChecksumMismatch):
        await storage.save(OTHER.fetched(scratch))
    await storage.save(M.fetched(scratch))

    assert await is_whole(storage, M)


async def test_a_version_that_athens_wrote_is_compared_by_its_bytes(
    open_storage: OpenStorage, client: ObjectClient, keys: ObjectLayout, scratch: Path
) -> None:
    for key, data in ((keys.info, M.info), (keys.mod, M.mod), (keys.zip, M.zip)):
        await put(client, key(M.wanted), data)
    storage = await open_storage()

    with pytest.raises(ChecksumMismatch, match=r"checksum mismatch: the fetched zip has h1:.*, the stored one h1:"):
        await storage.save(replace(OTHER.fetched(scratch), mod=M.mod))
    await storage.save(M.fetched(scratch))

    assert await is_whole(storage, M)
    assert (await storage.read_record(layout.h1_record(M.wanted))).startswith(b"h1:")


@pytest.mark.parametrize("kept_bytes", [0, 21, -1000])
async def test_a_zip_that_was_cut_off_is_absent_and_replaced_under_its_sum_only(
    open_storage: OpenStorage, client: ObjectClient, keys: ObjectLayout, scratch: Path, kept_bytes: int
) -> None:
    storage = await open_storage()
    await storage.save(M.fetched(scratch))
    assert await is_whole(storage, M)
    await put(client, keys.zip(M.wanted), M.zip[:kept_bytes])

    with pytest.raises(ModuleNotFound, match=r"the stored zip of example.com/m@v1.0.0 is damaged"):
        await storage.open_zip(M.wanted)
    with pytest.raises(ChecksumMismatch):
        await storage.save(OTHER.fetched(scratch))
    await client.revision(keys.zip(M.wanted))  # it is still there
    await storage.save(M.fetched(scratch))

    assert await is_whole(storage, M)


async def test_a_whole_zip_that_is_not_the_recorded_one_is_reported_and_kept(
    open_storage: OpenStorage, client: ObjectClient, keys: ObjectLayout, scratch: Path
) -> None:
    storage = await open_storage()
    await storage.save(M.fetched(scratch))
    longer = M.zip[:-2] + b"\x01\x00!"  # with a comment in it
    await put(client, keys.zip(M.wanted), OTHER.zip)

    with pytest.raises(ChecksumMismatch, match=r"the stored one h1:.*; the stored one is kept"):
        await storage.save(M.fetched(scratch))
    assert await zip_of(storage, M) == OTHER.zip

    await put(client, keys.zip(M.wanted), longer)
    assert await zip_of(storage, M) == longer


async def test_stores_with_different_prefixes_share_a_bucket_and_nothing_else(
    open_storage: OpenStorage, client: ObjectClient, scratch: Path
) -> None:
    one, two, bare = await open_storage(prefix="team-a/go"), await open_storage(prefix="team-a2"), await open_storage()
    await one.save(M.fetched(scratch))
    await two.save(OTHER.fetched(scratch))

    assert await is_whole(one, M)
    assert await is_whole(two, OTHER)
    assert [str(entry) for entry in (await one.catalog(token="", limit=10)).entries] == ["example.com/m@v1.0.0"]
    assert (await one.versions(M.wanted.path), await bare.versions(M.wanted.path)) == (["v1.0.0"], [])
    names = [key async for key in client.keys("")]
    assert all(name.startswith(("team-a/go/", "team-a2/")) for name in names), names


async def test_every_name_that_go_allows_is_kept_as_it_is(
    open_storage: OpenStorage, client: ObjectClient, keys: ObjectLayout, scratch: Path
) -> None:
    storage = await open_storage()
    modules = [
        SampleModule("git.sr.ht/~name/m", "v1.0.0"),
        SampleModule("github.com/Azure/x_y.z", "v2.0.0+incompatible"),
        SampleModule("example.com/a-b/v2", "v2.0.0-rc.1"),
    ]
    for module in modules:
        await storage.save(module.fetched(scratch))

    assert [await is_whole(storage, module) for module in modules] == [True] * 3
    names = [key async for key in client.keys("")]
    assert {keys.zip(module.wanted) for module in modules} < set(names)
