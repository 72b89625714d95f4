"""Zips that clients wait for come at once; others come ahead of time, few at once, in the order of what is likely."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.upstream.zip_turns import ZipTurns

PATIENCE_S = 3600.0


class Zips:
    """Zips that take until they are let finish.

    Attributes:
        started: their versions in the order in which they started.
    """

    def __init__(self, turns: ZipTurns) -> None:
        self._turns = turns
        self._end = asyncio.Event()
        self._another = asyncio.Event()
        self._tasks: dict[ModuleVersion, asyncio.Task[None]] = {}
        self.started: list[ModuleVersion] = []

    async def wanted(self, *versions: ModuleVersion, asked: str = "") -> None:
        """Begin to want zips, all that are asked for with the same file."""
        for version in versions:
            if asked:
                self._turns.asked(version, asked)
            self._tasks[version] = asyncio.create_task(self._come(version))
        await _settled()

    async def finish_all(self) -> None:
        self._end.set()
        await asyncio.gather(*self._tasks.values())

    async def has_started(self, version: ModuleVersion) -> None:
        """Return when the zip has started."""
        while version not in self.started:
            self._another.clear()
            await self._another.wait()

    async def give_up(self, version: ModuleVersion) -> None:
        self._tasks[version].cancel()
        with suppress(asyncio.CancelledError):
            await self._tasks.pop(version)
        await _settled()

    async def _come(self, version: ModuleVersion) -> None:
        async with self._turns.turn(version):
            self.started.append(version)
            self._another.set()
            await self._end.wait()


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def version_of(module: str, version: str = "v1.0.0") -> ModuleVersion:
    return ModuleVersion(ModulePath.parse(f"example.com/{module}"), version)


A, B, C, D = (version_of(name) for name in "abcd")


async def test_zips_that_clients_wait_for_do_not_wait_for_those_ahead_of_time() -> None:
    turns = ZipTurns(ahead_at_most=1, patience_s=PATIENCE_S)
    zips = Zips(turns)
    await zips.wanted(A, B, asked="mod")
    assert zips.started == [A]

    await zips.wanted(C, D, asked="zip")
    assert zips.started == [A, C, D]
    await zips.finish_all()
    assert zips.started == [A, C, D, B]


async def test_a_zip_that_waits_starts_as_soon_as_a_client_asks_for_it() -> None:
    turns = ZipTurns(ahead_at_most=1, patience_s=PATIENCE_S)
    zips = Zips(turns)
    await zips.wanted(A, B, C, asked="mod")
    turns.asked(C, "zip")
    await _settled()
    assert zips.started == [A, C]
    await zips.finish_all()


async def test_a_version_whose_info_was_asked_for_goes_before_one_whose_mod_was() -> None:
    turns = ZipTurns(ahead_at_most=1, patience_s=PATIENCE_S)
    zips = Zips(turns)
    await zips.wanted(A, B, C, asked="mod")
    turns.asked(C, "info")
    await zips.finish_all()
    assert zips.started == [A, C, B]


@pytest.mark.parametrize("order", [lambda versions: versions, reversed], ids=["lower first", "higher first"])
async def test_of_several_versions_of_a_module_only_the_highest_comes_ahead_of_time(
    order: Callable[[list[ModuleVersion]], list[ModuleVersion]],
) -> None:
    turns = ZipTurns(ahead_at_most=1, patience_s=PATIENCE_S)
    zips = Zips(turns)
    lower, higher = version_of("m", "v1.9.0"), version_of("m", "v1.10.0")
    await zips.wanted(A, *order([lower, higher]), asked="mod")
    await zips.wanted(B, asked="mod")
    waiting = asyncio.create_task(zips.finish_all())
    await _settled()
    assert zips.started[0] == A
    assert lower not in zips.started

    turns.asked(lower, "zip")
    await waiting
    assert zips.started[-1] == lower


async def test_an_unlikely_zip_comes_when_patience_is_over() -> None:
    turns = ZipTurns(patience_s=0.01)
    zips = Zips(turns)
    turns.asked(version_of("m", "v1.1.0"), "mod")
    await zips.wanted(version_of("m"), asked="mod")
    await zips.finish_all()
    assert zips.started == [version_of("m")]


async def test_a_zip_that_waited_twice_as_long_comes_beside_those_ahead_of_time() -> None:
    zips = Zips(ZipTurns(ahead_at_most=1, patience_s=0.01))
    await zips.wanted(A, B, asked="mod")
    assert zips.started == [A]
    async with asyncio.timeout(10):
        await zips.has_started(B)
    await zips.finish_all()


async def test_no_more_than_the_bound_come_at_once() -> None:
    zips = Zips(ZipTurns(at_most=2, patience_s=PATIENCE_S))
    await zips.wanted(A, B, C, asked="zip")
    assert zips.started == [A, B]
    await zips.finish_all()
    assert zips.started == [A, B, C]


async def test_a_fetch_that_is_given_up_leaves_its_place_to_the_next() -> None:
    zips = Zips(ZipTurns(at_most=1, ahead_at_most=1, patience_s=PATIENCE_S))
    await zips.wanted(A, B, C, asked="zip")
    await zips.give_up(B)
    await zips.give_up(A)
    assert zips.started == [A, C]
    await zips.finish_all()


async def test_a_version_that_no_client_asked_for_counts_as_likely() -> None:
    turns = ZipTurns(ahead_at_most=1, patience_s=PATIENCE_S)
    zips = Zips(turns)
    await zips.wanted(A, B, asked="mod")
    await zips.wanted(C)
    await zips.finish_all()
    assert zips.started == [A, C, B]


async def test_toolchains_have_a_lane_of_their_own_in_which_few_come_at_once() -> None:
    turns = ZipTurns(at_most=1, toolchains_at_most=2)
    zips = Zips(turns)
    toolchain = ModulePath.parse("golang.org/toolchain")
    platforms = [ModuleVersion(toolchain, f"v0.0.1-go1.26.1.linux-{arch}") for arch in ("amd64", "arm64", "s390x")]
    module = ModuleVersion(ModulePath.parse("example.com/m"), "v1.0.0")

    await zips.wanted(*platforms, asked="zip")
    await zips.wanted(module, asked="zip")

    assert zips.started == [*platforms[:2], module]
    await zips.finish_all()
    assert set(zips.started) == {*platforms, module}
