"""What every store promises (`storage/storage.py`), on every backend.

Source of the cases: github.com/gomods/athens pkg/storage/compliance, and the commit rule.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from athens_proxy.errors import ChecksumMismatch, ModuleNotFound, StorageError
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.storage.owner import StoreOwners
from athens_proxy.storage.storage import CHUNK_BYTES, CatalogPage, InvalidToken, Storage
from support.modules_fixture import SampleModule

M = SampleModule()


def version(path: str, text: str) -> ModuleVersion:
    return ModuleVersion.parse(ModulePath.parse(path), text)


async def save(storage: Storage, scratch: Path, *modules: SampleModule) -> None:
    for module in modules:
        await storage.save(module.fetched(scratch))


async def zip_of(storage: Storage, wanted: ModuleVersion, *, offset: int = 0, length: int | None = None) -> bytes:
    async with await storage.open_zip(wanted) as stored:
        return b"".join([chunk async for chunk in stored.chunks(offset=offset, length=length)])


async def pages(storage: Storage, *, limit: int) -> list[CatalogPage]:
    found = [await storage.catalog(token="", limit=limit)]
    while found[-1].next_token:
        found.append(await storage.catalog(token=found[-1].next_token, limit=limit))
    return found


async def test_an_unknown_module_is_not_found_and_lists_nothing(storage: Storage) -> None:
    for ask in (storage.info, storage.mod, storage.open_zip, storage.delete):
        with pytest.raises(ModuleNotFound):
            await ask(M.wanted)

    assert await storage.versions(M.wanted.path) == []


async def test_saved_bytes_come_back_unchanged(storage: Storage, scratch: Path) -> None:
    await save(storage, scratch, M)

    assert await storage.info(M.wanted) == M.info
    assert await storage.mod(M.wanted) == M.mod
    assert await zip_of(storage, M.wanted) == M.zip
    async with await storage.open_zip(M.wanted) as stored:
        assert stored.size_bytes == len(M.zip)


@pytest.mark.parametrize(("offset", "length"), [(0, 10), (7, None), (1, CHUNK_BYTES + 1), (10**9, 5), (0, 0)])
async def test_a_range_of_a_zip_is_exactly_those_bytes(
    storage: Storage, scratch: Path, offset: int, length: int | None
) -> None:
    module = SampleModule(files={"noise.bin": bytes(i * i % 251 for i in range(400_000))})
    await save(storage, scratch, module)

    end = None if length is None else offset + length
    assert await zip_of(storage, module.wanted, offset=offset, length=length) == module.zip[offset:end]


async def test_chunks_are_bounded(storage: Storage, scratch: Path) -> None:
    module = SampleModule(files={"noise.bin": bytes(i * i % 251 for i in range(400_000))})
    await save(storage, scratch, module)

    async with await storage.open_zip(module.wanted) as stored:
        assert max([len(chunk) async for chunk in stored.chunks()]) <= CHUNK_BYTES


async def test_versions_of_neighbouring_paths_do_not_mix(storage: Storage, scratch: Path) -> None:
    await save(
        storage,
        scratch,
        *(SampleModule("github.com/one/two", v) for v in ("v1.1.0", "v1.2.0", "v1.10.0")),
        SampleModule("github.com/one/two/v2", "v2.1.0"),
        SampleModule("github.com/one/two-other", "v0.9.0"),
    )

    assert await storage.versions(ModulePath.parse("github.com/one/two")) == ["v1.1.0", "v1.2.0", "v1.10.0"]
    assert await storage.versions(ModulePath.parse("github.com/one/two/v2")) == ["v2.1.0"]
    assert await storage.versions(ModulePath.parse("github.com/one/two-other")) == ["v0.9.0"]
    assert await storage.versions(ModulePath.parse("github.com/one")) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("github.com/Azure/x", "v1.0.0"),
        ("example.com/inc", "v2.0.0+incompatible"),
        ("example.com/m", "v1.0.0-20200102030405-0123456789ab"),
        ("gopkg.in/yaml.v2", "v2.4.0"),
        ("example.com/m", "v1.2.3-pre.1"),
    ],
)
async def test_every_kind_of_version_is_stored_and_listed(
    storage: Storage, scratch: Path, path: str, text: str
) -> None:
    module = SampleModule(path, text)
    await save(storage, scratch, module)

    assert await storage.versions(module.wanted.path) == [text]
    assert await zip_of(storage, module.wanted) == module.zip


async def test_paths_that_differ_in_case_are_different_modules(storage: Storage, scratch: Path) -> None:
    await save(storage, scratch, SampleModule("github.com/Azure/x"))

    with pytest.raises(ModuleNotFound):
        await storage.info(version("github.com/azure/x", "v1.0.0"))


async def test_a_version_is_not_its_own_prerelease(storage: Storage, scratch: Path) -> None:
    await save(storage, scratch, SampleModule(version="v1.2.3-pre.1"))

    with pytest.raises(ModuleNotFound):
        await storage.info(version("example.com/m", "v1.2.3-pre"))


async def test_saving_the_same_bytes_again_changes_nothing(storage: Storage, scratch: Path) -> None:
    await save(storage, scratch, M, M)

    assert await zip_of(storage, M.wanted) == M.zip
    assert await storage.versions(M.wanted.path) == ["v1.0.0"]


@pytest.mark.parametrize(
    "other",
    [SampleModule(files={"m.go": b"package evil\n"}), SampleModule(go_mod=b"module example.com/m\n\ngo 1.22\n")],
    ids=["zip", "go.mod"],
)
async def test_other_bytes_for_a_stored_version_are_refused_with_both_sums(
    storage: Storage, scratch: Path, other: SampleModule
) -> None:
    await save(storage, scratch, M)

    with pytest.raises(ChecksumMismatch, match=r"h1:.*h1:"):
        await save(storage, scratch, other)

    assert await zip_of(storage, M.wanted) == M.zip
    assert await storage.mod(M.wanted) == M.mod


async def test_concurrent_saves_of_one_version_leave_one_whole_version(storage: Storage, scratch: Path) -> None:
    await asyncio.gather(*(storage.save(fetched) for fetched in [M.fetched(scratch) for _ in range(8)]))

    assert await zip_of(storage, M.wanted) == M.zip


async def test_a_deleted_version_is_gone_and_its_neighbours_are_not(storage: Storage, scratch: Path) -> None:
    kept = SampleModule(version="v1.1.0")
    await save(storage, scratch, M, kept)

    await storage.delete(M.wanted)

    with pytest.raises(ModuleNotFound):
        await storage.info(M.wanted)
    assert await storage.versions(M.wanted.path) == ["v1.1.0"]
    assert await zip_of(storage, kept.wanted) == kept.zip


async def test_a_deleted_version_can_be_saved_with_other_bytes(storage: Storage, scratch: Path) -> None:
    await save(storage, scratch, M)
    await storage.delete(M.wanted)
    other = SampleModule(files={"m.go": b"package other\n"})

    await save(storage, scratch, other)

    assert await zip_of(storage, M.wanted) == other.zip


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_pages_of_the_catalogue_lose_and_double_nothing(storage: Storage, scratch: Path, limit: int) -> None:
    modules = [
        SampleModule("a.com/x", "v1.5.0"),
        SampleModule("b.com/y", "v1.0.0"),
        SampleModule("b.com/y", "v1.0.1"),
        SampleModule("b.com/y/z", "v0.1.0"),
        SampleModule("b.com/y-z", "v0.1.0"),
        SampleModule("b.com/Y", "v9.0.0+incompatible"),
        SampleModule("b.com/y/v2", "v2.0.0"),
    ]
    await save(storage, scratch, *modules)

    found = await pages(storage, limit=limit)

    assert sorted(str(entry) for page in found for entry in page.entries) == sorted(str(m.wanted) for m in modules)
    assert all(len(page.entries) == limit for page in found[:-1])
    assert 0 < len(found[-1].entries) <= limit


async def test_pages_lose_and_double_nothing_while_versions_are_added(storage: Storage, scratch: Path) -> None:
    """What is there before the first page is in exactly one page; what is added meanwhile is in one or in none."""
    before = [SampleModule("b.com/y", version) for version in ("v1.0.0", "v1.0.2", "v1.1.0")]
    before += [SampleModule("b.com/y/z", "v0.1.0"), SampleModule("c.com/x", "v1.0.0")]
    added = [
        SampleModule("a.com/first", "v1.0.0"),
        SampleModule("b.com/y", "v1.0.1"),
        SampleModule("b.com/y/z", "v0.2.0"),
        SampleModule("b.com/y-z", "v0.1.0"),
        SampleModule("z.com/last", "v1.0.0"),
    ]
    await save(storage, scratch, *before)

    found, token = [], ""
    for late in [*added, None, None, None, None, None]:
        page = await storage.catalog(token=token, limit=2)
        found += [str(entry) for entry in page.entries]
        token = page.next_token
        if not token:
            break
        if late is not None:
            await save(storage, scratch, late)

    assert token == ""
    assert len(found) == len(set(found))
    assert {str(module.wanted) for module in before} <= set(found)
    assert set(found) <= {str(module.wanted) for module in (*before, *added)}


async def test_an_empty_store_has_one_empty_page(storage: Storage) -> None:
    assert await storage.catalog(token="", limit=10) == CatalogPage((), "")


async def test_a_token_has_athens_shape_and_outlives_its_entry(storage: Storage, scratch: Path, backend: str) -> None:
    await save(storage, scratch, *(SampleModule(version=f"v1.{n}.0") for n in range(4)))
    first = await storage.catalog(token="", limit=2)
    by_key = {"minio": "example.com/m/v1.1.0/v1.1.0.info"} | dict.fromkeys(
        ("s3", "gcs", "azureblob"), "example.com/m/@v/v1.1.0.info"
    )
    assert backend == "mongo" or first.next_token == by_key.get(backend, "example.com/m|v1.1.0")
    await storage.delete(version("example.com/m", "v1.1.0"))

    second = await storage.catalog(token=first.next_token, limit=2)

    assert [entry.version for entry in second.entries] == ["v1.2.0", "v1.3.0"]


async def test_a_foreign_token_is_refused(storage: Storage) -> None:
    with pytest.raises(InvalidToken):
        await storage.catalog(token="no bar", limit=10)


async def test_records_are_kept_apart_from_modules(storage: Storage, scratch: Path) -> None:
    await save(storage, scratch, M)
    with pytest.raises(ModuleNotFound):
        await storage.read_record("sumdb/sum.golang.org/latest")

    await storage.write_record("sumdb/sum.golang.org/latest", b"one")
    await storage.write_record("sumdb/sum.golang.org/latest", b"two")

    assert await storage.read_record("sumdb/sum.golang.org/latest") == b"two"
    assert len((await storage.catalog(token="", limit=10)).entries) == 1


@pytest.mark.parametrize("name", ["../escape", "a/../../b", "/etc/passwd", "a//b", "", "a/\0b", "."])
async def test_no_record_name_leaves_the_records(storage: Storage, name: str) -> None:
    with pytest.raises(StorageError):
        await storage.write_record(name, b"x")
    with pytest.raises(StorageError):
        await storage.read_record(name)


async def test_a_reader_keeps_its_zip_when_the_version_is_deleted(storage: Storage, scratch: Path) -> None:
    await save(storage, scratch, M)

    async with await storage.open_zip(M.wanted) as stored:
        await storage.delete(M.wanted)
        data = b"".join([chunk async for chunk in stored.chunks()])

    assert data == M.zip


async def test_a_working_store_passes_its_check(storage: Storage) -> None:
    await storage.check()


async def test_two_owners_of_one_store_notice_each_other(storage: Storage, scratch: Path) -> None:
    await storage.save(M.fetched(scratch))
    counts: list[int] = []
    one = StoreOwners(storage, "team-a", host="host-a", on_others=counts.append)
    two = StoreOwners(storage, "team-b", host="host-b", on_others=lambda _: None)

    for owners in (one, two, one, two):
        await owners.beat()

    assert (list(one.others()), list(two.others()), counts) == (["team-b"], ["team-a"], [0, 1])
    assert [str(entry) for entry in (await storage.catalog(token="", limit=9)).entries] == [str(M.wanted)]
