"""The stash layers: who shares a fetch, who may leave, and what runs in the background."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from athens_proxy.errors import ModuleNotFound, Overloaded, StorageFull, UpstreamError
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.stash.background import BackgroundStash
from athens_proxy.stash.fetch_and_save import SAVES, FetchAndSave
from athens_proxy.stash.limited import Limited
from athens_proxy.stash.singleflight import Singleflight, StashFlights
from athens_proxy.stash.stasher import layered
from athens_proxy.storage.memory import MemoryStorage
from athens_proxy.storage.storage import FetchedModule
from support.modules_fixture import SampleModule
from support.proxy_parts import SampleUpstream

PATH = ModulePath.parse("example.com/m")


def version(number: int) -> ModuleVersion:
    return ModuleVersion(PATH, f"v1.{number}.0")


class SlowStasher:
    """Waits until it is told to go on; knows how many are inside."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.entered = asyncio.Semaphore(0)
        self.calls: list[str] = []
        self.inside = 0
        self.most_inside = 0
        self.failure: Exception | None = None

    async def stash(self, wanted: ModuleVersion, *, upstream: str = "") -> ModuleVersion:
        self.calls.append(f"{wanted} {upstream}".strip())
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        self.entered.release()
        try:
            await self.go_on.wait()
            if self.failure is not None:
                raise self.failure
            return wanted
        finally:
            self.inside -= 1


async def test_concurrent_callers_share_one_fetch_and_its_result() -> None:
    slow = SlowStasher()
    stasher = Singleflight(slow, flights=StashFlights())
    callers = [asyncio.create_task(stasher.stash(version(1))) for _ in range(5)]
    await slow.entered.acquire()
    slow.go_on.set()

    assert await asyncio.gather(*callers) == [version(1)] * 5
    assert slow.calls == [str(version(1))]


async def test_other_versions_and_other_chains_are_other_fetches() -> None:
    slow = SlowStasher()
    slow.go_on.set()
    stasher = Singleflight(slow, flights=StashFlights())

    await asyncio.gather(stasher.stash(version(1)), stasher.stash(version(2)), stasher.stash(version(1), upstream="x"))

    assert len(slow.calls) == 3


async def test_waiter_that_leaves_does_not_cancel_the_fetch() -> None:
    slow = SlowStasher()
    stasher = Singleflight(slow, flights=StashFlights())
    leaver = asyncio.create_task(stasher.stash(version(1)))
    await slow.entered.acquire()
    stayer = asyncio.create_task(stasher.stash(version(1)))
    leaver.cancel()
    await asyncio.gather(leaver, return_exceptions=True)
    slow.go_on.set()

    assert await stayer == version(1)
    assert leaver.cancelled()


async def test_a_failure_reaches_everybody_and_is_then_forgotten() -> None:
    slow = SlowStasher()
    slow.failure = UpstreamError("down")
    stasher = Singleflight(slow, flights=StashFlights())
    callers = [asyncio.create_task(stasher.stash(version(1))) for _ in range(3)]
    await slow.entered.acquire()
    slow.go_on.set()
    failures = await asyncio.gather(*callers, return_exceptions=True)
    slow.failure = None

    assert [type(failure) for failure in failures] == [UpstreamError] * 3
    assert await stasher.stash(version(1)) == version(1)


async def test_closing_cancels_what_is_in_flight() -> None:
    slow = SlowStasher()
    flights = StashFlights()
    caller = asyncio.create_task(Singleflight(slow, flights=flights).stash(version(1)))
    await slow.entered.acquire()

    await flights.aclose()

    assert slow.inside == 0
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_more_fetches_than_may_be_in_flight_are_refused_and_those_in_flight_are_joined() -> None:
    slow = SlowStasher()
    stasher = Singleflight(slow, flights=StashFlights(at_most=2))
    callers = [asyncio.create_task(stasher.stash(version(number))) for number in (1, 2, 2)]
    for _ in range(2):
        await slow.entered.acquire()

    with pytest.raises(Overloaded, match="ask again in some seconds"):
        await stasher.stash(version(3))
    slow.go_on.set()

    assert await asyncio.gather(*callers) == [version(1), version(2), version(2)]
    assert await stasher.stash(version(3)) == version(3)


async def test_no_more_fetches_run_at_once_than_allowed() -> None:
    slow = SlowStasher()
    stasher = layered(partial(Limited, at_most=3), core=slow)
    callers = [asyncio.create_task(stasher.stash(version(number))) for number in range(10)]
    for _ in range(3):
        await slow.entered.acquire()
    assert slow.inside == 3
    slow.go_on.set()
    await asyncio.gather(*callers)

    assert slow.most_inside == 3


async def test_what_is_fetched_is_saved_counted_and_named_canonically(tmp_path: Path) -> None:
    module = SampleModule()
    upstream = SampleUpstream(tmp_path / "scratch", [module])
    upstream.queries = {"example.com/m@main": "v1.0.0"}
    storage, outcomes = MemoryStorage(), list[bool]()
    stasher = FetchAndSave(upstream, storage, on_fetch=lambda succeeded, _: outcomes.append(succeeded))

    stored = await stasher.stash(ModuleVersion(PATH, "main"), upstream="https://chain.example.com")

    assert stored == module.wanted
    assert await storage.mod(module.wanted) == module.mod
    assert (outcomes, upstream.chains) == ([True], ["https://chain.example.com"])


class SlowStorage(MemoryStorage):
    """Saves wait until they may go on; knows how many there are."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()
        self.entered = asyncio.Semaphore(0)
        self.inside = 0

    async def save(self, fetched: FetchedModule) -> None:
        self.inside += 1
        self.entered.release()
        await self.go_on.wait()
        await super().save(fetched)


async def test_no_more_versions_are_written_at_once_than_allowed(tmp_path: Path) -> None:
    modules = [SampleModule(version=f"v1.{number}.0") for number in range(SAVES + 5)]
    storage = SlowStorage()
    stasher = FetchAndSave(SampleUpstream(tmp_path / "scratch", modules), storage, on_fetch=lambda *_: None)

    saving = [asyncio.create_task(stasher.stash(module.wanted)) for module in modules]
    for _ in range(SAVES):
        await storage.entered.acquire()
    assert storage.inside == SAVES

    storage.go_on.set()
    await asyncio.gather(*saving)
    assert storage.inside == len(modules)


async def test_a_failed_fetch_or_save_is_counted_and_leaves_nothing(tmp_path: Path) -> None:
    module = SampleModule()
    upstream = SampleUpstream(tmp_path / "scratch", [module])
    storage, outcomes = MemoryStorage(max_bytes=10), list[bool]()
    stasher = FetchAndSave(upstream, storage, on_fetch=lambda succeeded, _: outcomes.append(succeeded))

    with pytest.raises(StorageFull):
        await stasher.stash(module.wanted)
    with pytest.raises(ModuleNotFound):
        await stasher.stash(version(9))

    assert outcomes == [False, False]
    assert await storage.versions(PATH) == []
    assert list((tmp_path / "scratch").iterdir()) == []


async def test_background_work_is_drained_at_the_end() -> None:
    slow = SlowStasher()
    slow.go_on.set()
    background = BackgroundStash(slow, workers=2)
    for number in range(20):
        background.add(version(number))

    await background.drain(within_s=10)

    assert len(slow.calls) == 20


async def test_a_version_that_waits_already_is_not_queued_twice() -> None:
    slow = SlowStasher()
    slow.go_on.set()
    background = BackgroundStash(slow, workers=1)
    for _ in range(5):
        background.add(version(1))

    await background.drain(within_s=10)

    assert slow.calls == [str(version(1))]


async def test_a_full_queue_drops_instead_of_blocking(caplog: pytest.LogCaptureFixture) -> None:
    slow = SlowStasher()
    background = BackgroundStash(slow, workers=1, queue_length=2)
    taken = [background.add(version(number)) for number in range(5)]
    slow.go_on.set()
    await background.drain(within_s=10)

    assert taken == [True, True, False, False, False]
    assert len(slow.calls) == 2
    assert "the queue is full" in caplog.text


class FailingStasher:
    """Fails for the versions that it has a failure for."""

    def __init__(self, failures: dict[ModuleVersion, Exception]) -> None:
        self.failures = failures
        self.stashed: list[ModuleVersion] = []

    async def stash(self, wanted: ModuleVersion, *, upstream: str = "") -> ModuleVersion:
        if wanted in self.failures:
            raise self.failures[wanted]
        self.stashed.append(wanted)
        return wanted


async def test_failures_in_the_background_end_nothing(caplog: pytest.LogCaptureFixture) -> None:
    failing = FailingStasher({version(1): UpstreamError("origin is down"), version(2): RuntimeError("a defect")})
    background = BackgroundStash(failing, workers=1)
    for number in (1, 2, 3):
        background.add(version(number))

    await background.drain(within_s=10)

    assert failing.stashed == [version(3)]
    assert "origin is down" in caplog.text
    assert "a defect" in caplog.text


async def test_draining_gives_up_after_its_deadline() -> None:
    slow = SlowStasher()
    background = BackgroundStash(slow, workers=1)
    background.add(version(1))
    await slow.entered.acquire()

    await background.drain(within_s=0.01)

    assert slow.inside == 0


async def test_memory_forgets_the_versions_that_were_not_read_for_longest(tmp_path: Path) -> None:
    modules = [SampleModule(version=f"v1.{number}.0") for number in range(3)]
    size_bytes = len(modules[0].info) + len(modules[0].mod) + len(modules[0].zip)
    storage = MemoryStorage(max_bytes=2 * size_bytes + 10)
    await storage.save(modules[0].fetched(tmp_path))
    await storage.save(modules[1].fetched(tmp_path))
    await storage.info(modules[0].wanted)

    await storage.save(modules[2].fetched(tmp_path))

    assert await storage.versions(PATH) == ["v1.0.0", "v1.2.0"]
