"""The last events in a record of the store: they outlive a restart, and processes and replicas learn of each other's.

Writers may overwrite each other, since no store can append for all: what a writer finds missing of its own a moment
later it adds again. At rest nothing is read or written; a follower makes this process look every two seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from athens_proxy.errors import ModuleNotFound, ProxyError
from athens_proxy.events.events import Events
from athens_proxy.events.kept import merged
from athens_proxy.events.kinds import Event, EventKind, decode, encode
from athens_proxy.storage.owner import Records

RECORD: Final = "events/recent"
RECORDED: Final = 1_000
WRITE_S: Final = 1.0  # from the first event of a batch to its writing
WRITE_REFUSALS_S: Final = 10.0  # clients alone decide how many of these there are
LOOK_AGAIN_S: Final = 3.0  # after a write, whether it is still there
FOLLOWED_LOOK_S: Final = 2.0  # while somebody follows
PAGE_LOOK_S: Final = 30.0  # while there is a page for people
START_S: Final = 5.0
LEAVE_S: Final = 2.0
_MAX_BYTES: Final = 4 * 1024 * 1024
_LOG = logging.getLogger(__name__)


class Journal:
    """Keeps the record of the store and the events of this process alike.

    Args:
        events: publishes ours, takes those of others.
        records: of the store.
        look_s: after how many seconds to look for what other processes publish, None for no need.
    """

    def __init__(self, events: Events, records: Records, *, look_s: Callable[[], float | None]) -> None:
        self._events = events
        self._records = records
        self._look_s = look_s
        self._own: deque[Event] = deque(maxlen=RECORDED)
        self._due_s: float | None = None
        self._stirred = asyncio.Event()
        self._has_failed = False
        for event in reversed(events.newest(RECORDED)):
            self._note(event)
        events.listen(self._note)

    async def load(self) -> None:
        """Take what is recorded; a store that is slow or fails leaves the list empty for now."""
        with suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                await self.sync(writes=False)

    async def run(self) -> None:
        """Keep both alike until cancelled."""
        loop = asyncio.get_running_loop()
        looked_s = loop.time()
        while True:
            self._stirred.clear()
            pause_s = self._look_s()
            look_s = None if pause_s is None else looked_s + pause_s
            soonest_s = min((s for s in (self._due_s, look_s) if s is not None), default=None)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(soonest_s):
                    await self._stirred.wait()
                continue  # the times have changed
            is_due = self._due_s is not None and self._due_s <= loop.time()
            await self.sync(writes=is_due)
            looked_s = loop.time()

    async def leave(self) -> None:
        """Write what is not written yet; best effort."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                if self._due_s is not None:
                    await self.sync(writes=True)

    def stir(self) -> None:
        """Somebody began to follow."""
        self._stirred.set()

    async def sync(self, *, writes: bool) -> None:
        """Take the events of others; write those of our own that the record lacks if this is the time to write."""
        if writes:
            self._due_s = None
        try:
            recorded = await self._recorded()
            for event in recorded:
                self._events.take(event)
            if writes and await self._written(recorded):
                self._plan(LOOK_AGAIN_S)
        except ProxyError as error:
            if not self._has_failed:
                _LOG.warning("%s; events are kept in this process alone until that works", error)
            self._has_failed = True
            if writes:
                self._plan(LOOK_AGAIN_S)
            return
        self._has_failed = False

    async def _written(self, recorded: list[Event]) -> bool:
        """Whether anything was missing in the record, which has it now."""
        known = {(event.id, event.origin) for event in recorded}
        oldest = recorded[0].id if len(recorded) >= RECORDED else 0
        missing = [event for event in self._own if (event.id, event.origin) not in known and event.id > oldest]
        if missing:
            together = merged(recorded, missing, at_most=RECORDED)
            await self._records.write_record(RECORD, encode(together))
        return bool(missing)

    async def _recorded(self) -> list[Event]:
        try:
            data = await self._records.read_record(RECORD)
        except ModuleNotFound:
            return []
        return decode(data) if len(data) <= _MAX_BYTES else []  # milliseconds

    def _note(self, event: Event) -> None:
        if event.origin != self._events.origin:
            return
        self._own.append(event)
        self._plan(WRITE_REFUSALS_S if event.kind is EventKind.REFUSED else WRITE_S)

    def _plan(self, within_s: float) -> None:
        due_s = asyncio.get_running_loop().time() + within_s
        if self._due_s is None or due_s < self._due_s:
            self._due_s = due_s
            self._stirred.set()
