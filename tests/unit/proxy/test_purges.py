"""Purged versions: how lists are read, who is told, and what a store that fails or forgets leaves of them."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athens_proxy.errors import AccessDenied, ModuleNotFound, StorageError
from athens_proxy.modules import ModuleVersion
from athens_proxy.retention import tombstones
from athens_proxy.retention.purges import PurgedStorage, Purges, allow, buried_in, bury
from athens_proxy.retention.tombstones import BadPurgeList, Tombstone, from_file, from_record, to_record
from athens_proxy.storage.memory import MemoryStorage
from support.memory_records import MemoryRecords
from support.modules_fixture import SampleModule

M = SampleModule()
STONE = Tombstone(M.path, M.version, reason="leaked a key")


class Silent(MemoryStorage):
    """A store that may stop answering for records."""

    is_silent = False

    async def read_record(self, name: str) -> bytes:
        if self.is_silent:
            raise StorageError("read a record: no answer")
        return await super().read_record(name)


class Process:
    """One proxy on a store, with what it told."""

    def __init__(self, storage: MemoryStorage, file: Path | None = None) -> None:
        self.published: list[tuple[str, ...]] = []
        self.changes = 0
        self.count = -1
        self.reloads: list[bool] = []
        self.purges = Purges(
            storage,
            file,
            on_change=self._changed,
            publish=lambda *event: self.published.append(event),
            on_count=self._counted,
            on_reload=self.reloads.append,
        )

    def _changed(self) -> None:
        self.changes += 1

    def _counted(self, count: int) -> None:
        self.count = count

    def refuses(self, wanted: ModuleVersion = M.wanted) -> bool:
        try:
            self.purges.require_allowed(wanted)
        except AccessDenied:
            return True
        return False


@pytest.fixture
def storage() -> Silent:
    return Silent()


async def test_a_version_that_is_purged_is_deleted_refused_and_told_of_by_one_process(
    storage: Silent, tmp_path: Path
) -> None:
    await storage.save(M.fetched(tmp_path))
    one, other = Process(storage), Process(storage)
    for process in (one, other):
        await process.purges.look()
    await bury(storage, {M.wanted: STONE})

    for process in (one, other, one):
        await process.purges.look()

    assert one.refuses()
    assert other.refuses()
    assert (one.changes, one.count) == (1, 1)
    assert [*one.published, *other.published] == [("purged", M.path, M.version, "leaked a key")]
    assert one.purges.of_module(M.wanted.path) == {M.version}
    with pytest.raises(ModuleNotFound):
        await storage.info(M.wanted)


async def test_a_fetch_that_ends_after_the_purge_is_not_stored(storage: Silent, tmp_path: Path) -> None:
    process = Process(storage)
    await bury(storage, {M.wanted: STONE})
    await process.purges.look()

    with pytest.raises(AccessDenied, match="leaked a key"):
        await PurgedStorage(storage, process.purges).save(M.fetched(tmp_path))


async def test_what_others_put_back_into_the_store_is_not_shown(storage: Silent, tmp_path: Path) -> None:
    process = Process(storage)
    await bury(storage, {M.wanted: STONE})
    await process.purges.look()
    await storage.save(M.fetched(tmp_path))
    purged = PurgedStorage(storage, process.purges)

    for read in (purged.info, purged.mod, purged.open_zip):
        with pytest.raises(ModuleNotFound, match="purged"):
            await read(M.wanted)


async def test_a_store_that_does_not_answer_leaves_what_was_known(storage: Silent) -> None:
    process = Process(storage)
    await bury(storage, {M.wanted: STONE})
    await process.purges.look()
    storage.is_silent = True

    await process.purges.look()

    assert process.refuses()
    storage.is_silent = False
    assert await allow(storage, M.wanted)
    await process.purges.look()
    assert not process.refuses()


async def test_a_record_that_cannot_be_read_leaves_what_was_known_and_stops_who_would_overwrite_it(
    storage: Silent,
) -> None:
    process = Process(storage)
    await bury(storage, {M.wanted: STONE})
    await process.purges.look()
    await storage.write_record(tombstones.RECORD, b"[1")

    await process.purges.look()

    assert process.refuses()
    with pytest.raises(StorageError, match="repair or delete it"):
        await bury(storage, {M.wanted: STONE})


async def test_a_writer_that_was_overwritten_writes_again() -> None:
    class Overwritten(MemoryRecords):
        """Somebody else's write lands on top of the first one."""

        writes = 0

        async def write_record(self, name: str, data: bytes) -> None:
            self.writes += 1
            await super().write_record(name, to_record([]) if self.writes == 1 else data)

    records = Overwritten()

    await bury(records, {M.wanted: STONE})

    assert await buried_in(records) == {M.wanted: STONE}


async def test_a_bad_list_leaves_the_last_good_one_and_says_so(storage: Silent, tmp_path: Path) -> None:
    listed = tmp_path / "purge.json"
    listed.write_text(json.dumps([{"module": M.path, "version": M.version}]))
    process = Process(storage, listed)
    await process.purges.look(at_store=False)
    listed.write_text("{}")

    for _ in range(2):
        await process.purges.look(at_store=False)

    assert process.refuses()
    assert process.reloads == [True, False]
    listed.unlink()
    await process.purges.look(at_store=False)
    assert not process.refuses()
    assert process.reloads == [True, False, True]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{}", "it must be a list"),
        ("[", "it is no JSON"),
        ("[" * 200_000, "it is no JSON"),
        ("[1]", "entry 0: it must have module and version"),
        ('[{"module": "a.com/x", "version": "v1.0.0", "since": "now"}]', "entry 0: it must have module and version"),
        ('[{"module": "a.com/x", "version": 1}]', "must be texts"),
        ('[{"module": "a.com/x", "version": "latest"}]', "not a canonical version"),
        ('[{"module": "a.com/x/v2", "version": "v1.0.0"}]', "not a canonical version"),
        ('[{"module": "../x", "version": "v1.0.0"}]', "malformed module path"),
        ('[{"module": "a.com/x", "version": "v1.0.0", "reason": "two\\nlines"}]', "one printable line"),
        (json.dumps([{"module": "a.com/x", "version": "v1.0.0", "reason": "r" * 201}]), "at most 200"),
        (json.dumps([{"module": "a.com/x", "version": f"v1.0.{n}"} for n in range(1001)]), "at most 1000"),
        (" " * 262_145, "larger than 262144 bytes"),
    ],
    ids=lambda text: text[:40],
)
def test_what_is_no_list_of_versions_is_refused_as_a_whole(text: str, why: str) -> None:
    with pytest.raises(BadPurgeList, match=why):
        from_file(text.encode(), by="me")


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader_of_lists(data: bytes) -> None:
    with suppress(BadPurgeList):
        from_file(data, by="me")


def test_a_record_comes_back_as_it_was_without_entries_that_name_no_version() -> None:
    record = json.loads(to_record([STONE]))
    record["purged"] += [{"module": "../x", "version": "v1.0.0"}, 7, {"module": "a.com/x"}]

    assert from_record(json.dumps(record).encode()) == {M.wanted: STONE}


class UndoneMeanwhile(MemoryStorage):
    """Somebody allows the version again when a proxy has read twice that it is purged: to learn and to tell it."""

    reads = 0

    async def read_record(self, name: str) -> bytes:
        record = await super().read_record(name)
        if name == tombstones.RECORD:
            self.reads += 1
            if self.reads == 2:
                await super().write_record(name, to_record([]))
        return record


async def test_a_proxy_that_carries_out_a_purge_does_not_bring_it_back_once_it_is_undone() -> None:
    storage = UndoneMeanwhile()
    process = Process(storage)
    await storage.write_record(tombstones.RECORD, to_record([STONE]))
    await process.purges.look()

    assert await buried_in(storage) == {}
    await process.purges.look()
    assert not process.refuses()
