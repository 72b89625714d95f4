"""The paths of all stored modules, sorted and in memory, so that no search walks the store.

The catalogue is walked once at the start and now and then after, for what no event tells; between walks the events keep
the list true.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final

from athens_proxy.errors import ProxyError
from athens_proxy.events.kinds import Event, EventKind
from athens_proxy.modules import ModulePath
from athens_proxy.storage.storage import Storage

WALK_AGAIN_S: Final = 3600.0
PAGE: Final = 1_000
SLICE: Final = 5_000  # paths that are looked at before others get their turn: about a millisecond
_RETRY_S: Final = 30.0
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """One page of a search: paths in order, and the path after which the next page begins ("" on the last)."""

    paths: tuple[str, ...]
    after: str


class ModuleList:
    """The list, and the search in it.

    Args:
        storage: what is stored.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._paths: list[str] = []
        self._folded: list[str] = []  # beside each path, without regard to case
        self._doubtful: set[str] = set()  # a version of these is gone; perhaps the last one
        self._stirred = asyncio.Event()
        self.is_complete = False

    def __len__(self) -> int:
        return len(self._paths)

    def take(self, event: Event) -> None:
        """Keep the list true to an event."""
        if event.kind is EventKind.STORED:
            self._add(event.module)
        elif event.kind is EventKind.PURGED:
            self._doubtful.add(event.module)
            self._stirred.set()

    async def run(self) -> None:
        """Walk the catalogue now and then, and look after what is in doubt, until cancelled."""
        loop = asyncio.get_running_loop()
        walk_s = loop.time()
        while True:
            if loop.time() >= walk_s:
                walk_s = loop.time() + (WALK_AGAIN_S if await self._walked() else _RETRY_S)
            await self._settle()
            self._stirred.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(walk_s):
                    await self._stirred.wait()

    async def search(self, query: str, *, after: str, limit: int) -> Found:
        """The paths that hold every word of the query, whatever the case, after a given path.

        Args:
            query: words; "" finds everything.
            after: where the last page ended, "" for the first.
            limit: at most so many.
        """
        words = query.lower().split()
        found: list[str] = []
        position = bisect_right(self._paths, after) if after else 0
        while position < len(self._paths):
            end = min(position + SLICE, len(self._paths))
            numbers: Iterable[int] = range(position, end)
            for word in words:
                numbers = [number for number in numbers if word in self._folded[number]]
            found += (self._paths[number] for number in islice(numbers, limit + 1 - len(found)))
            if len(found) > limit:
                return Found(tuple(found[:limit]), found[limit - 1])
            last = self._paths[end - 1]
            await asyncio.sleep(0)
            position = bisect_right(self._paths, last)  # the list may have changed meanwhile
        return Found(tuple(found), "")

    async def _walked(self) -> bool:
        """Whether a walk came to its end; then what was not met is gone."""
        met: set[str] = set()
        before = set(self._paths)
        token = ""
        try:
            while True:
                page = await self._storage.catalog(token=token, limit=PAGE)
                for entry in page.entries:
                    if entry.path.text not in met:
                        met.add(entry.path.text)
                        self._add(entry.path.text)
                token = page.next_token
                if not token:
                    break
                await asyncio.sleep(0)
        except ProxyError as error:
            _LOG.warning("list the stored modules for the page: %s", error)
            return False
        self._doubtful |= before - met
        self.is_complete = True
        return True

    async def _settle(self) -> None:
        """Take out the modules of which nothing is stored any more."""
        while self._doubtful:
            text = self._doubtful.pop()
            try:
                if not await self._storage.versions(ModulePath.parse(text)):
                    self._remove(text)
            except ProxyError as error:  # the next walk looks again
                _LOG.warning("look whether %s is still stored: %s", text, error)

    def _add(self, path: str) -> None:
        position = bisect_left(self._paths, path)
        if position == len(self._paths) or self._paths[position] != path:
            self._paths.insert(position, path)
            self._folded.insert(position, path.lower())

    def _remove(self, path: str) -> None:
        position = bisect_left(self._paths, path)
        if position < len(self._paths) and self._paths[position] == path:
            del self._paths[position]
            del self._folded[position]
