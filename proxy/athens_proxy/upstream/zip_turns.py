"""Which zip comes next: those that clients wait for at once, others ahead of time while little else is going on.

`go` first asks for the `.mod` of every module in its graph, then for `.info` and zip of those it selected. It selects
one version of a module, the highest that it has seen, so that the zip of a lower one is hardly ever asked for.

Source: measured requests of `go mod download`, `go build` and `go list`; https://go.dev/ref/mod#minimal-version-selection
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeVar

from athens_policy import semver
from athens_proxy.modules import ModulePath, ModuleVersion

AT_MOST: Final = 64
AHEAD_AT_MOST: Final = 3
TOOLCHAINS_AT_MOST: Final = 2
PATIENCE_S: Final = 10.0
_REMEMBERED: Final = 10_000
_K = TypeVar("_K")
_V = TypeVar("_V")


class Interest(IntEnum):
    """Why a zip is on its way; the lowest goes first."""

    WAITED_FOR = 0
    LIKELY = 1
    POSSIBLE = 2
    UNLIKELY = 3


_INTEREST_OF: Final = {"zip": Interest.WAITED_FOR, "info": Interest.LIKELY, "mod": Interest.POSSIBLE}


@dataclass(eq=False, slots=True)
class _Waiting:
    wanted: ModuleVersion
    may_start: asyncio.Future[None]
    times_overdue: int = 0


class ZipTurns:
    """Lets zips start in the order of the interest in them.

    Args:
        at_most: how many come at once.
        ahead_at_most: a zip that no client waits for starts only while fewer than this many come.
        toolchains_at_most: toolchains of Go are large and have a lane of their own, so that no other zip waits for one;
            so many come at once.
        patience_s: seconds after which an unlikely zip is treated as a possible one; after twice as many every zip is
            as if waited for, since a client of another replica may wait for it.
    """

    def __init__(
        self,
        *,
        at_most: int = AT_MOST,
        ahead_at_most: int = AHEAD_AT_MOST,
        toolchains_at_most: int = TOOLCHAINS_AT_MOST,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._toolchains = asyncio.Semaphore(toolchains_at_most)
        self._at_most = at_most
        self._ahead_at_most = ahead_at_most
        self._patience_s = patience_s
        self._running = 0
        self._waiting: list[_Waiting] = []
        self._interest: OrderedDict[ModuleVersion, Interest] = OrderedDict()
        self._highest: OrderedDict[ModulePath, str] = OrderedDict()

    @property
    def waiting_count(self) -> int:
        """How many zips wait for their turn."""
        return len(self._waiting)

    def asked(self, wanted: ModuleVersion, extension: str) -> None:
        """A client asks for a file (info, mod, zip) of a version that is not stored; never blocks."""
        interest = _INTEREST_OF[extension]
        _remember(self._interest, wanted, min(interest, self._interest.get(wanted, interest)))
        highest = self._highest.get(wanted.path, wanted.version)
        _remember(self._highest, wanted.path, max(highest, wanted.version, key=semver.sort_key))
        self._start_next()

    @asynccontextmanager
    async def turn(self, wanted: ModuleVersion) -> AsyncIterator[None]:
        """Entered when the zip of this version may come; left when it is there."""
        async with self._toolchains if wanted.path.is_toolchain else self._turn(wanted):
            yield

    @asynccontextmanager
    async def _turn(self, wanted: ModuleVersion) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        waiting = _Waiting(wanted, loop.create_future())
        self._waiting.append(waiting)
        self._start_next()
        overdue = [loop.call_later(times * self._patience_s, self._grow_old, waiting) for times in (1, 2)]
        try:
            await waiting.may_start
            yield
        finally:
            for timer in overdue:
                timer.cancel()
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            else:
                self._running -= 1
            self._interest.pop(wanted, None)
            self._start_next()

    def _grow_old(self, waiting: _Waiting) -> None:
        waiting.times_overdue += 1
        self._start_next()

    def _start_next(self) -> None:
        while self._waiting and self._running < self._at_most:
            first = min(self._waiting, key=self._interest_in)  # of equals the one that came first
            interest = self._interest_in(first)
            is_ahead = interest is not Interest.WAITED_FOR
            if interest is Interest.UNLIKELY or (is_ahead and self._running >= self._ahead_at_most):
                return
            self._waiting.remove(first)
            self._running += 1
            if not first.may_start.done():
                first.may_start.set_result(None)

    def _interest_in(self, waiting: _Waiting) -> Interest:
        wanted = waiting.wanted
        interest = self._interest.get(wanted, Interest.LIKELY)
        if waiting.times_overdue == 2:
            return Interest.WAITED_FOR
        is_highest = self._highest.get(wanted.path, wanted.version) == wanted.version
        if interest is Interest.POSSIBLE and not is_highest and not waiting.times_overdue:
            return Interest.UNLIKELY
        return interest


def _remember(memory: OrderedDict[_K, _V], key: _K, value: _V) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > _REMEMBERED:
        memory.popitem(last=False)
