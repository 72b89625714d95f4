"""What large zips do to a store: saves that are killed at random points, and memory while they go in and out.

The tests run short variants, `make bench` the long ones.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from athens_proxy.errors import ModuleNotFound
from athens_proxy.storage.storage import Storage
from support.large_zips import MOD, LargeZip
from support.object_places import NewPlace, Place
from support.object_worker import peak_mib
from support.tree import ROOT

ANSWER_S = 900.0
# Killed saves leave half of a zip each, which only a start a day later removes; FerretDB reads it with every query.
KILLS_PER_PLACE = 2
_BEYOND_THE_END = 1.1


@dataclass
class Killed:
    """What saves on one backend left that were killed.

    Attributes:
        save_s: how long one takes that is left alone.
        states: after each kill: `absent`, `whole`, or what else there was.
        completed: after how many of them the next save made a whole version.
    """

    save_s: float
    states: list[str] = field(default_factory=list)
    completed: int = 0

    @property
    def halves(self) -> list[str]:
        """The states that must not be."""
        return [state for state in self.states if state not in ("absent", "whole")]


@dataclass(frozen=True)
class Resident:
    """Resident memory of a process, in MiB.

    Attributes:
        idle_mib: before anything was asked of it.
        peaks_mib: in each pass.
    """

    idle_mib: int
    peaks_mib: Sequence[int]

    @property
    def above_idle_mib(self) -> int:
        """The highest peak above idle."""
        return max(self.peaks_mib) - self.idle_mib

    @property
    def growth_mib(self) -> int:
        """From passes 3 to 5, when every buffer and thread has been used, to the last three: the highest of each.

        Single passes differ by a part of an upload or two, in both directions.
        """
        return max(self.peaks_mib[-3:]) - max(self.peaks_mib[2:5])


class Worker:
    """A process of `object_worker`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, *task: object) -> Any:
        """Give it a task; its next line."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(task, default=vars).encode() + b"\n")
        await self._process.stdin.drain()
        return await self.answer()

    async def answer(self) -> Any:
        """Its next line."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), ANSWER_S)
        assert line, "the worker ended; its error is above"
        return json.loads(line)


@asynccontextmanager
async def worker(kind: str) -> AsyncIterator[Worker]:
    """A worker that is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "support.object_worker",
        kind,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("tests", "hack"))},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Worker(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def kill_saves(new_place: NewPlace, large: LargeZip, points: int) -> Killed:
    """Kill saves at random points, spread evenly from the first moment to just after the last; look, and save again."""
    async with worker("kill") as killer:
        place = new_place()
        outcome, save_s = await killer.ask(place, large, ANSWER_S)
        assert outcome == "saved", "a save that nobody killed failed; its error is above"
        found = Killed(save_s)
        for number in range(points):
            if number % KILLS_PER_PLACE == 0:
                place = new_place()
            await _clear(place, large)
            after_s = (number + random.random()) / points * save_s * _BEYOND_THE_END
            outcome, _ = await killer.ask(place, large, after_s)
            assert outcome in ("killed", "saved"), "a save failed before it was killed; its error is above"
            await _look(place, large, found)
    return found


async def _clear(place: Place, large: LargeZip) -> None:
    storage = await place.open()
    with suppress(ModuleNotFound):
        await storage.delete(large.wanted)
    await storage.close()


async def _look(place: Place, large: LargeZip, found: Killed) -> None:
    """See what a killed save left, and complete it."""
    storage = await place.open()
    found.states.append(await _state(storage, large))
    await storage.save(large.fetched())
    found.completed += await _state(storage, large) == "whole"
    await storage.close()


async def measure_passes(place: Place, zips: Sequence[LargeZip], *, passes: int) -> list[Resident]:
    """Memory of a process that saves, reads and deletes all of them at once in each pass.

    With a proxy behind the store, that one's follows.
    """
    serving = [place.serving_pid] if place.serving_pid else []

    def with_serving(own_mib: int) -> list[int]:
        return [own_mib, *(peak_mib(pid) for pid in serving)]

    async with worker("measure") as measured:
        with_serving(0)  # its start does not count
        serving_idle = with_serving(0)[1:]
        idle = [await measured.ask(place, zips), *serving_idle]
        passed = [with_serving(await measured.answer())]
        while len(passed) < passes:
            passed.append(with_serving(await measured.ask(place, zips)))
    return [Resident(idle[at], [peaks[at] for peaks in passed]) for at in range(len(idle))]


async def _state(storage: Storage, large: LargeZip) -> str:
    """`absent`, `whole`, or what there is; a server may still be busy with the last request of a saver that is gone."""
    seen = await _seen(storage, large)
    if "info" not in seen and seen:
        seen = await _seen(storage, large)
    if not seen:
        return "absent"
    return "whole" if seen == ["info", "mod", "zip", "list"] else " ".join(seen)


async def _seen(storage: Storage, large: LargeZip) -> list[str]:
    """Which parts of a version can be read, the commit mark first."""
    seen = []
    for name, ask, content in (("info", storage.info, large.info), ("mod", storage.mod, MOD)):
        with suppress(ModuleNotFound):
            seen.append(name if await ask(large.wanted) == content else f"other {name}")
    with suppress(ModuleNotFound):
        async with await storage.open_zip(large.wanted) as stored:
            data = b"".join([chunk async for chunk in stored.chunks()])
        seen.append("zip" if data == await asyncio.to_thread(Path(large.path).read_bytes) else "other zip")
    if await storage.versions(large.wanted.path):
        seen.append("list")
    return seen
