"""A `VersionLister` that remembers lists and `@latest` for a short while.

The go command asks for the list of every prefix of every import path, over https twice; so answers are shared while
they are fetched, kept for a minute, served stale while they are refreshed, and absence is kept for some seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar, cast

from athens_proxy.errors import ModuleNotFound
from athens_proxy.modules import ModulePath, ModuleVersion, RevInfo
from athens_proxy.stash.flights import MAX_FLIGHTS, Flights
from athens_proxy.upstream.fetcher import VersionLister

FRESH_S: Final = 60.0
STALE_S: Final = 600.0
ABSENT_S: Final = 10.0
MAX_ENTRIES: Final = 20_000
MAX_VERSIONS: Final = 500_000  # in all lists together, some 50 MB
T = TypeVar("T")
_Key = tuple[str, object, str]


@dataclass(frozen=True, slots=True)
class _Answer:
    value: object
    at: float

    def age_s(self, now: float) -> float:
        return now - self.at

    @property
    def versions_count(self) -> int:
        return len(self.value) if isinstance(self.value, list) else 0


class CachedLister:
    """Remembers answers of another lister; failures other than absence are never remembered.

    Args:
        inner: asks upstream.
        at_most: how many questions may be in flight upstream.
        at_most_waiting: how many may be in flight or wait; more are refused.
        at_most_versions: how many versions all remembered lists may hold; the oldest are forgotten first.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        inner: VersionLister,
        *,
        at_most: int,
        at_most_waiting: int = MAX_FLIGHTS,
        at_most_versions: int = MAX_VERSIONS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._clock = clock
        self._slots = asyncio.Semaphore(at_most)
        self._answers: OrderedDict[_Key, _Answer] = OrderedDict()
        self._at_most_versions = at_most_versions
        self._versions_count = 0
        self._flights: Flights[_Key, Any] = Flights(at_most=at_most_waiting)

    async def versions(self, path: ModulePath, *, upstream: str = "") -> list[str]:
        """The list, at most `STALE_S` old; see `VersionLister.versions`."""
        ask = partial(self._inner.versions, path, upstream=upstream)
        return list(await self._answer(("versions", path, upstream), ask))

    async def latest(self, path: ModulePath, *, upstream: str = "") -> RevInfo:
        """The latest version, at most `STALE_S` old; see `VersionLister.latest`."""
        return await self._answer(("latest", path, upstream), partial(self._inner.latest, path, upstream=upstream))

    async def resolve(self, wanted: ModuleVersion, *, upstream: str = "") -> RevInfo:
        """What the query means now; shared while in flight, never remembered, for branches move."""
        key = ("resolve", wanted, upstream)
        ask = partial(self._inner.resolve, wanted, upstream=upstream)
        return cast(RevInfo, await self._flights.join(key, partial(self._limited, ask)))

    async def aclose(self) -> None:
        """Cancel what is in flight."""
        await self._flights.aclose()

    async def _answer(self, key: _Key, ask: Callable[[], Awaitable[T]]) -> T:
        refresh = partial(self._asked, key, ask)
        known = self._answers.get(key)
        age_s = known.age_s(self._clock()) if known else STALE_S
        if known is None or age_s >= (ABSENT_S if isinstance(known.value, ModuleNotFound) else STALE_S):
            return cast(T, await self._flights.join(key, refresh))
        if age_s >= FRESH_S:
            self._flights.begin(key, refresh)
        if isinstance(known.value, ModuleNotFound):
            raise type(known.value)(*known.value.args)
        return cast(T, known.value)

    async def _asked(self, key: _Key, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            answer = await self._limited(ask)
        except ModuleNotFound as error:
            self._remember(key, type(error)(*error.args))  # the one that is raised holds the frames it goes through
            raise
        self._remember(key, answer)
        return answer

    async def _limited(self, ask: Callable[[], Awaitable[T]]) -> T:
        async with self._slots:
            return await ask()

    def _remember(self, key: _Key, value: object) -> None:
        self._forget(key)
        self._answers[key] = answer = _Answer(value, self._clock())
        self._versions_count += answer.versions_count
        while len(self._answers) > MAX_ENTRIES or self._versions_count > self._at_most_versions:
            self._forget(next(iter(self._answers)))

    def _forget(self, key: _Key) -> None:
        if answer := self._answers.pop(key, None):
            self._versions_count -= answer.versions_count
