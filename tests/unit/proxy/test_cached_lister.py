"""How long answers about what exists upstream are kept, and what is never kept."""

from __future__ import annotations

import asyncio
import gc
import weakref
from pathlib import Path

import pytest

from athens_proxy.download.cached_lister import ABSENT_S, FRESH_S, STALE_S, CachedLister
from athens_proxy.errors import ModuleNotFound, UpstreamError
from athens_proxy.modules import ModulePath, ModuleVersion
from support.modules_fixture import SampleModule
from support.proxy_parts import SampleUpstream

M = SampleModule()
PATH = M.wanted.path
NEWER = SampleModule(version="v1.1.0")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def upstream(tmp_path: Path) -> SampleUpstream:
    return SampleUpstream(tmp_path / "scratch", [M])


@pytest.fixture
def lister(upstream: SampleUpstream, clock: Clock) -> CachedLister:
    return CachedLister(upstream, at_most=5, clock=clock)


async def test_a_fresh_answer_is_not_asked_for_again(lister: CachedLister, upstream: SampleUpstream) -> None:
    for _ in range(3):
        assert await lister.versions(PATH) == ["v1.0.0"]
        assert (await lister.latest(PATH)).version == "v1.0.0"

    assert upstream.asked == {"versions example.com/m": 1, "latest example.com/m": 1}


async def test_lists_together_hold_a_bounded_number_of_versions(upstream: SampleUpstream, clock: Clock) -> None:
    lister = CachedLister(upstream, at_most=5, at_most_versions=3, clock=clock)
    other = [SampleModule(path="example.com/other", version=version) for version in ("v1.0.0", "v1.1.0", "v1.2.0")]
    upstream.modules |= {str(module.wanted): module for module in other}

    for path in (PATH, other[0].wanted.path, other[0].wanted.path, PATH, PATH):
        await lister.versions(path)

    assert upstream.asked == {"versions example.com/m": 2, "versions example.com/other": 1}


class Held:
    """Stands for what a request holds while it asks."""


async def test_a_remembered_absence_holds_nothing_of_the_request(lister: CachedLister) -> None:
    async def requested(held: Held) -> None:
        await lister.latest(ModulePath.parse("example.com/absent"))

    held = Held()
    noted = weakref.ref(held)
    with pytest.raises(ModuleNotFound):
        await requested(held)
    del held
    await asyncio.sleep(0)  # the loop itself holds the answer for the turn that it wakes us in
    gc.collect()

    assert noted() is None


async def test_concurrent_questions_are_one_question(lister: CachedLister, upstream: SampleUpstream) -> None:
    await asyncio.gather(*(lister.versions(PATH) for _ in range(10)))

    assert upstream.asked.total() == 1


async def test_a_stale_answer_is_served_while_it_is_refreshed(
    lister: CachedLister, upstream: SampleUpstream, clock: Clock
) -> None:
    await lister.versions(PATH)
    upstream.modules[str(NEWER.wanted)] = NEWER
    clock.now = FRESH_S + 1
    upstream.was_asked.clear()

    assert await lister.versions(PATH) == ["v1.0.0"]
    await upstream.was_asked.wait()

    assert await lister.versions(PATH) == ["v1.0.0", "v1.1.0"]


async def test_a_failed_refresh_keeps_the_stale_answer_for_its_time(
    lister: CachedLister, upstream: SampleUpstream, clock: Clock
) -> None:
    await lister.versions(PATH)
    upstream.failure = UpstreamError("down")
    clock.now = FRESH_S + 1
    assert await lister.versions(PATH) == ["v1.0.0"]

    clock.now = STALE_S + 1
    with pytest.raises(UpstreamError):
        await lister.versions(PATH)


async def test_absence_is_remembered_for_seconds(lister: CachedLister, upstream: SampleUpstream, clock: Clock) -> None:
    unknown = ModulePath.parse("example.com/unknown")
    for _ in range(3):
        with pytest.raises(ModuleNotFound, match=r"example\.com/unknown is not upstream"):
            await lister.versions(unknown)
    assert upstream.asked.total() == 1

    clock.now = ABSENT_S + 1
    with pytest.raises(ModuleNotFound):
        await lister.versions(unknown)
    assert upstream.asked.total() == 2


async def test_failures_are_never_remembered(lister: CachedLister, upstream: SampleUpstream) -> None:
    upstream.failure = UpstreamError("down")
    with pytest.raises(UpstreamError):
        await lister.versions(PATH)
    upstream.failure = None

    assert await lister.versions(PATH) == ["v1.0.0"]


async def test_answers_of_other_chains_are_kept_apart(lister: CachedLister, upstream: SampleUpstream) -> None:
    await lister.versions(PATH)
    await lister.versions(PATH, upstream="https://other.example.com")

    assert upstream.chains == ["", "https://other.example.com"]


async def test_branches_are_resolved_every_time(lister: CachedLister, upstream: SampleUpstream) -> None:
    upstream.queries = {"example.com/m@main": "v1.0.0"}
    for _ in range(2):
        assert (await lister.resolve(ModuleVersion(PATH, "main"))).version == "v1.0.0"

    assert upstream.asked["resolve example.com/m@main"] == 2


async def test_callers_cannot_change_what_is_kept(lister: CachedLister) -> None:
    (await lister.versions(PATH)).clear()

    assert await lister.versions(PATH) == ["v1.0.0"]


async def test_a_caller_that_leaves_does_not_cancel_the_question(
    lister: CachedLister, upstream: SampleUpstream
) -> None:
    upstream.gate.clear()
    leaver = asyncio.create_task(lister.versions(PATH))
    await upstream.was_asked.wait()
    stayer = asyncio.create_task(lister.versions(PATH))
    leaver.cancel()
    await asyncio.gather(leaver, return_exceptions=True)
    upstream.gate.set()

    assert await stayer == ["v1.0.0"]
    await lister.aclose()
