"""`.info` and `.mod` are answered while the zip is on its way, and a zip only when all of it is stored."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from athens_proxy.download.first_seen import FirstSeen
from athens_proxy.download.listing import NetworkMode
from athens_proxy.download.rules import Rules
from athens_proxy.download.stored_or_fetched import Sources, StoredOrFetched
from athens_proxy.errors import ModuleNotFound, UpstreamError
from athens_proxy.stash.fetch_and_save import FetchAndSave
from athens_proxy.stash.singleflight import Singleflight, StashFlights
from athens_proxy.storage.disk import DiskStorage, open_disk_storage
from athens_proxy.upstream.announced import Announced
from athens_proxy.upstream.whole_mod import Unmarked
from athens_proxy.upstream.zip_turns import ZipTurns
from support.modules_fixture import SampleModule
from support.proxy_parts import SUMS, SampleUpstream, WaitingBackground, policy
from support.stepped_fetcher import SteppedFetcher

M = SampleModule()
BROKEN = UpstreamError("the zip was cut off")


@pytest.fixture
def fetcher(tmp_path: Path) -> SteppedFetcher:
    return SteppedFetcher(M, tmp_path / "scratch")


@pytest.fixture
def storage(tmp_path: Path) -> DiskStorage:
    return open_disk_storage(tmp_path / "store", sums=SUMS, create=True)


@pytest.fixture
def modules(fetcher: SteppedFetcher, storage: DiskStorage, tmp_path: Path) -> StoredOrFetched:
    announced = Announced(fetcher, ZipTurns())
    core = FetchAndSave(announced, storage, on_fetch=lambda succeeded, duration_s: None)
    sources = Sources(
        storage,
        Singleflight(core, flights=StashFlights()),
        SampleUpstream(tmp_path / "lists"),
        WaitingBackground(),
        Rules(policy(), FirstSeen(storage)),
        early=announced,
    )
    return StoredOrFetched(sources, network_mode=NetworkMode.STRICT, on_lookup=lambda kind, hit: None)


async def test_small_files_do_not_wait_for_the_zip_of_the_same_fetch(
    modules: StoredOrFetched, fetcher: SteppedFetcher, storage: DiskStorage
) -> None:
    info, mod = await asyncio.gather(modules.info(M.wanted), modules.mod(M.wanted))

    assert (info, mod) == (M.info, M.mod)
    with pytest.raises(ModuleNotFound):
        await storage.info(M.wanted)

    zip_asked = asyncio.create_task(modules.zip(M.wanted))
    assert await modules.mod(M.wanted) == M.mod
    assert not zip_asked.done()
    fetcher.zip_comes.set()
    async with await zip_asked as stored:
        assert stored.size_bytes == len(M.zip)

    assert await storage.info(M.wanted) == M.info
    assert fetcher.fetches == 1


async def test_a_fetch_goes_on_when_all_it_was_asked_for_has_been_answered(
    modules: StoredOrFetched, fetcher: SteppedFetcher, storage: DiskStorage
) -> None:
    await modules.info(M.wanted)
    fetcher.zip_comes.set()

    async with await modules.zip(M.wanted):
        assert await storage.mod(M.wanted) == M.mod
    assert fetcher.fetches == 1


async def test_a_zip_that_fails_after_its_small_files_is_an_error_for_the_zip_and_nothing_is_stored(
    modules: StoredOrFetched, fetcher: SteppedFetcher, storage: DiskStorage
) -> None:
    fetcher.failure = BROKEN
    await modules.mod(M.wanted)
    zip_asked = asyncio.create_task(modules.zip(M.wanted))
    fetcher.zip_comes.set()

    with pytest.raises(UpstreamError, match="cut off"):
        await zip_asked
    assert await storage.versions(M.wanted.path) == []


CUT = Unmarked(M.mod.rstrip())


@pytest.mark.parametrize(
    ("mod", "vouches", "is_early"),
    [(Unmarked(M.mod), False, True), (M.mod.rstrip(), False, True), (CUT, False, False), (CUT, True, True)],
    ids=["a whole line", "a told length", "within a line", "within a line, and known"],
)
async def test_a_go_mod_that_may_be_cut_off_waits_for_the_zip_that_tells(
    tmp_path: Path, mod: bytes, vouches: bool, is_early: bool
) -> None:
    fetcher = SteppedFetcher(SampleModule(go_mod=mod), tmp_path / "scratch")
    fetcher.vouches = vouches
    announced = Announced(fetcher, ZipTurns())
    early = asyncio.create_task(announced.small_files(M.wanted))
    async with asyncio.TaskGroup() as fetching:
        fetch = fetching.create_task(entered(announced))
        await fetcher.shown.wait()
        await asyncio.wait({early}, timeout=0)
        seen = early.done()
        fetcher.zip_comes.set()
    early.cancel()

    assert fetch.result() == mod
    assert seen is is_early


async def entered(announced: Announced) -> bytes:
    async with announced.fetch(M.wanted) as fetched:
        return fetched.mod


async def test_where_nothing_is_shown_the_fetch_itself_answers(
    modules: StoredOrFetched, fetcher: SteppedFetcher
) -> None:
    fetcher.shows = False
    fetcher.zip_comes.set()
    assert await modules.info(M.wanted) == M.info


async def test_where_nothing_is_shown_the_failure_of_the_fetch_answers(
    modules: StoredOrFetched, fetcher: SteppedFetcher
) -> None:
    fetcher.shows = False
    fetcher.failure = BROKEN
    fetcher.zip_comes.set()

    with pytest.raises(UpstreamError, match="cut off"):
        await modules.info(M.wanted)


async def test_a_client_that_leaves_before_the_small_files_ends_no_fetch(
    modules: StoredOrFetched, fetcher: SteppedFetcher
) -> None:
    leaving = asyncio.create_task(modules.info(M.wanted))
    await fetcher.begun.wait()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    fetcher.zip_comes.set()

    async with await modules.zip(M.wanted) as stored:
        assert stored.size_bytes == len(M.zip)
    assert fetcher.fetches == 1
