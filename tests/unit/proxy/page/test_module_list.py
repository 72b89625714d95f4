"""The list of modules behind the page: what a search finds, and that it stays true to the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from athens_proxy.errors import StorageError
from athens_proxy.events.kinds import Event, EventKind
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.page.module_list import SLICE, WALK_AGAIN_S, ModuleList
from athens_proxy.page.origins import UNKNOWN, Origins, asked_by
from athens_proxy.storage.memory import MemoryStorage
from athens_proxy.storage.storage import CatalogPage
from support.memory_records import MemoryRecords
from support.modules_fixture import SampleModule
from support.virtual_time import in_virtual_time


class ListedStorage(MemoryStorage):
    """A store that only lists."""

    def __init__(self, *paths: str) -> None:
        super().__init__()
        self.paths = set(paths)
        self.walks = 0
        self.is_down = False

    async def catalog(self, *, token: str, limit: int) -> CatalogPage:
        if self.is_down:
            raise StorageError("down")
        self.walks += not token
        after = sorted(path for path in self.paths if path > token)
        entries = tuple(ModuleVersion(ModulePath(path), "v1.0.0") for path in after[:limit])
        return CatalogPage(entries, after[limit - 1] if len(after) > limit else "")

    async def versions(self, path: ModulePath) -> list[str]:
        return ["v1.0.0"] if path.text in self.paths else []


@asynccontextmanager
async def listed(storage: ListedStorage) -> AsyncIterator[ModuleList]:
    modules = ModuleList(storage)
    running = asyncio.create_task(modules.run())
    await asyncio.sleep(1)
    try:
        yield modules
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def event(kind: str, path: str) -> Event:
    return Event(1, EventKind(kind), path, "v1.0.0", "", "here")


async def found(modules: ModuleList, query: str = "") -> list[str]:
    paths: list[str] = []
    after = ""
    while True:
        page = await modules.search(query, after=after, limit=3)
        paths += page.paths
        after = page.after
        if not after:
            return paths


def test_a_search_takes_every_word_in_any_case_and_pages_follow_each_other() -> None:
    async def main() -> None:
        names = [f"github.com/Azure/m{n}" for n in range(8)] + ["example.com/azure", "example.com/other"]
        async with listed(ListedStorage(*names)) as modules:
            assert await found(modules) == sorted(names)
            assert await found(modules, "AZURE") == sorted(names[:9])
            assert await found(modules, "azure github m3") == ["github.com/Azure/m3"]
            assert await found(modules, "nothing") == []

    in_virtual_time(main())


@given(st.sets(st.from_regex(r"[a-c]{1,3}", fullmatch=True), max_size=30), st.text("abc", max_size=2))
def test_every_search_finds_exactly_the_paths_that_hold_its_word(names: set[str], word: str) -> None:
    async def main() -> None:
        paths = {f"x.org/{name}" for name in names}
        async with listed(ListedStorage(*paths)) as modules:
            assert await found(modules, word) == sorted(path for path in paths if word in path)

    in_virtual_time(main())


def test_the_list_follows_the_events_and_finds_by_itself_what_no_event_told() -> None:
    async def main() -> None:
        storage = ListedStorage("example.com/a", "example.com/b")
        async with listed(storage) as modules:
            storage.paths |= {"example.com/c", "example.com/silent"}
            modules.take(event("stored", "example.com/c"))
            storage.paths -= {"example.com/a", "example.com/b"}
            modules.take(event("purged", "example.com/a"))
            modules.take(event("purged", "example.com/c"))  # one version of several
            await asyncio.sleep(1)
            assert await found(modules) == ["example.com/b", "example.com/c"]

            await asyncio.sleep(WALK_AGAIN_S)
            assert await found(modules) == ["example.com/c", "example.com/silent"]
            assert storage.walks == 2

    in_virtual_time(main())


def test_a_store_that_is_down_at_the_start_is_listed_once_it_works() -> None:
    async def main() -> None:
        storage = ListedStorage("example.com/a")
        storage.is_down = True
        async with listed(storage) as modules:
            before = modules.is_complete
            storage.is_down = False
            await asyncio.sleep(60)
            assert (before, modules.is_complete) == (False, True)
            assert await found(modules) == ["example.com/a"]

    in_virtual_time(main())


def test_a_search_through_many_modules_lets_others_run() -> None:
    async def main() -> None:
        async with listed(ListedStorage(*(f"example.com/m{n}" for n in range(4 * SLICE)))) as modules:
            turns = 0

            async def others() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            running = asyncio.create_task(others())
            assert await found(modules, "nothing") == []
            running.cancel()
            assert turns >= 3

    in_virtual_time(main())


async def test_the_origin_of_a_version_is_kept_with_a_user_only_where_users_prove_their_names(tmp_path: Path) -> None:
    module = SampleModule()
    for names_users, user in ((True, "alice"), (False, "")):
        records = MemoryRecords()
        origins = Origins(records, host="pod-1", names_users=names_users)
        asked_by.set("alice")

        origins.saved(module.fetched(tmp_path))
        await origins.aclose()

        origin = await origins.of(module.wanted)
        assert (origin.user, origin.host) == (user, "pod-1")
        assert origin.at.endswith("Z")


async def test_a_record_that_is_none_and_one_that_is_missing_are_an_unknown_origin() -> None:
    records = MemoryRecords()
    origins = Origins(records, host="pod-1", names_users=True)
    assert await origins.of(SampleModule().wanted) == UNKNOWN
    for data in (b"", b"[]", b'{"at": 1}', b"\xff", b"x" * 100_000):
        records.by_name["origin/example.com/m/@v/v1.0.0"] = data
        assert await origins.of(SampleModule().wanted) == UNKNOWN
