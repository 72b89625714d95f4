"""Stores that are not whole, on every backend: what is left is served, what is missing or broken comes back by itself.

A crashed Athens leaves a version without one of its files; a disk or a bucket may hand back other bytes than it got.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from athens_proxy.errors import ChecksumMismatch, ModuleNotFound
from athens_proxy.modules import ModuleVersion
from athens_proxy.storage.audited import AuditedStorage
from athens_proxy.storage.storage import Storage
from support.modules_fixture import SampleModule
from support.object_stores import SUMS
from support.stored_files import KINDS, Kind, StoredFiles

WITH_FILES = ("disk", "mongo", "external", "s3", "minio", "gcs", "azureblob")
M = SampleModule(files={"noise.bin": random.Random(5).randbytes(50_000)})
OTHER = SampleModule(files={"m.go": b"package other\n"})

pytestmark = pytest.mark.parametrize("backend", WITH_FILES, indirect=True)


async def read(storage: Storage, wanted: ModuleVersion, kind: Kind) -> bytes:
    if kind == "info":
        return await storage.info(wanted)
    if kind == "mod":
        return await storage.mod(wanted)
    async with await storage.open_zip(wanted) as stored:
        return b"".join([chunk async for chunk in stored.chunks()])


def flipped(data: bytes) -> bytes:
    """One bit of the first file's content is another one; size and directory stay."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1 :]


@pytest.mark.parametrize("missing", KINDS)
async def test_a_version_that_lacks_a_file_is_completed_and_loses_nothing(
    storage: Storage, stored_files: StoredFiles, scratch: Path, missing: Kind
) -> None:
    neighbour = SampleModule(version="v1.1.0")
    await storage.save(M.fetched(scratch))
    await storage.save(neighbour.fetched(scratch))
    await stored_files.remove(M.wanted, missing)

    with pytest.raises(ModuleNotFound):
        await read(storage, M.wanted, missing)
    await storage.save(M.fetched(scratch))

    assert [await read(storage, M.wanted, kind) for kind in KINDS] == [M.info, M.mod, M.zip]
    assert await storage.versions(M.wanted.path) == ["v1.0.0", "v1.1.0"]
    assert await read(storage, neighbour.wanted, "zip") == neighbour.zip


@pytest.mark.parametrize("missing", ["mod", "zip"])
async def test_a_missing_file_comes_back_with_its_own_bytes_only(
    storage: Storage, stored_files: StoredFiles, scratch: Path, missing: Kind, backend: str
) -> None:
    await storage.save(M.fetched(scratch))
    await stored_files.remove(M.wanted, missing)
    if backend == "mongo" and missing == "mod":
        return  # it is in the document that commits the version: what is fetched next is a new version

    with pytest.raises(ChecksumMismatch):
        await storage.save(OTHER.fetched(scratch))

    with pytest.raises(ModuleNotFound):
        await read(storage, M.wanted, missing)


async def test_a_version_without_its_info_is_in_no_list(
    storage: Storage, stored_files: StoredFiles, scratch: Path
) -> None:
    await storage.save(M.fetched(scratch))
    await stored_files.remove(M.wanted, "info")

    assert await storage.versions(M.wanted.path) == []
    assert (await storage.catalog(token="", limit=5)).entries == ()
    for kind in KINDS:
        with pytest.raises(ModuleNotFound):
            await read(storage, M.wanted, kind)


@pytest.mark.parametrize("kept", [0, 1000, -1])
async def test_a_zip_that_was_cut_off_is_never_served(
    storage: Storage, stored_files: StoredFiles, scratch: Path, kept: int
) -> None:
    await storage.save(M.fetched(scratch))
    await stored_files.overwrite(M.wanted, "zip", M.zip[:kept])

    with pytest.raises(ModuleNotFound):
        await read(storage, M.wanted, "zip")
    await storage.save(M.fetched(scratch))

    assert await read(storage, M.wanted, "zip") == M.zip


@pytest.fixture
async def audited(storage: Storage, scratch: Path) -> AsyncIterator[AuditedStorage]:
    """The store as a proxy that did not save what is there opens it."""
    watched = AuditedStorage(storage, sums=SUMS, scratch=scratch, on_damage=lambda: None)
    yield watched
    await watched.end_audits()


async def test_a_zip_with_a_flipped_bit_is_noticed_and_replaced_under_its_sum_only(
    storage: Storage, audited: AuditedStorage, stored_files: StoredFiles, scratch: Path, backend: str
) -> None:
    await storage.save(M.fetched(scratch))
    assert await read(audited, M.wanted, "zip") == M.zip
    await audited.audits_done()
    assert await read(audited, M.wanted, "zip") == M.zip
    await stored_files.overwrite(M.wanted, "zip", flipped(M.zip))
    told: list[None] = []
    again = AuditedStorage(storage, sums=SUMS, scratch=scratch, on_damage=lambda: told.append(None))

    if backend not in ("disk", "external"):  # a disk, ours behind the external one too, notices it before it serves
        assert await read(again, M.wanted, "zip") == flipped(M.zip)
        await again.audits_done()
        assert told == [None]
    with pytest.raises(ModuleNotFound):
        await again.open_zip(M.wanted)
    with pytest.raises(ChecksumMismatch):
        await again.save(OTHER.fetched(scratch))
    await again.save(M.fetched(scratch))

    assert [await read(again, M.wanted, kind) for kind in KINDS] == [M.info, M.mod, M.zip]
    await again.end_audits()


async def test_what_athens_saved_is_judged_by_its_own_checks(
    storage: Storage, audited: AuditedStorage, stored_files: StoredFiles, scratch: Path, backend: str
) -> None:
    """There is no sum of it; flipped bits of a packed file are told by its CRC."""
    await storage.save(M.fetched(scratch))
    await storage.write_record("h1/example.com/m/@v/v1.0.0", b"")
    await stored_files.overwrite(M.wanted, "zip", flipped(M.zip))

    if backend not in ("disk", "external"):
        await read(audited, M.wanted, "zip")
        await audited.audits_done()

    with pytest.raises(ModuleNotFound):
        await audited.open_zip(M.wanted)
