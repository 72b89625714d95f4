"""An index that never fails or delays a download: what it does not take at once is kept and caught up later."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from athens_proxy.errors import IndexUnavailable
from athens_proxy.index.index import Index
from athens_proxy.index.kept import KeptLines
from athens_proxy.modules import ModuleVersion

MOST_WAITING: Final = 10_000
RETRY_S: Final = 5.0
GRACE_S: Final = 1.0
_LOG = logging.getLogger(__name__)


class CatchingUp:
    """Records versions in the order in which they were stored, as soon as the index takes them.

    Args:
        index: where they go.
        kept: where they wait across restarts.
        on_waiting: told how many wait after each change.
        retry_s: pause between attempts while the index is down.
        grace_s: how long a download waits for a healthy index, so that its client finds its version there.
        most_waiting: more are dropped and logged.
    """

    def __init__(
        self,
        index: Index,
        kept: KeptLines,
        *,
        on_waiting: Callable[[int], None],
        retry_s: float = RETRY_S,
        grace_s: float = GRACE_S,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._index = index
        self._kept = kept
        self._on_waiting = on_waiting
        self._retry_s = retry_s
        self._grace_s = grace_s
        self._most_waiting = most_waiting
        self._waiting: dict[ModuleVersion, asyncio.Event] = {}
        self._has_work = asyncio.Event()
        self._is_down = False
        self._is_kept = False
        self._done: set[ModuleVersion] = set()  # recorded, and not yet taken out of the record

    async def record(self, wanted: ModuleVersion) -> None:
        """Hand a version over; returns when it is recorded, at once when the index is down, never with an error."""
        if len(self._waiting) >= self._most_waiting:
            _LOG.warning("%s is not indexed: too many wait for the index; run athens-proxy reindex", wanted)
            return
        recorded = self._waiting.setdefault(wanted, asyncio.Event())
        self._on_waiting(len(self._waiting))
        self._has_work.set()
        if not self._is_down:
            with suppress(TimeoutError):
                await asyncio.wait_for(recorded.wait(), self._grace_s)

    async def run(self) -> None:
        """Record what waits, until cancelled."""
        for wanted in await self._kept.read():
            self._is_kept = True
            self._waiting.setdefault(wanted, asyncio.Event())
        while True:
            if not self._waiting:
                self._has_work.clear()
                await self._has_work.wait()
            await self._attempt()

    async def drain(self, *, within_s: float) -> None:
        """Record what waits for at most `within_s` seconds, then keep the rest; `run` must have ended."""
        with suppress(TimeoutError, IndexUnavailable):
            async with asyncio.timeout(within_s):
                await self._record_all()
        await self._keep()

    async def _attempt(self) -> None:
        try:
            await self._record_all()
        except IndexUnavailable as error:
            if not self._is_down:
                _LOG.warning("%s; stored versions wait and are recorded later", error)
            self._is_down = True
            await self._keep()
            await asyncio.sleep(self._retry_s)
            return
        if self._is_down:
            _LOG.info("the index answers again and has caught up")
        self._is_down = False
        if self._is_kept:
            await self._keep()

    async def _record_all(self) -> None:
        while self._waiting:
            wanted = next(iter(self._waiting))
            await self._index.record(wanted)
            self._waiting.pop(wanted).set()
            if self._is_kept:
                self._done.add(wanted)
            self._on_waiting(len(self._waiting))

    async def _keep(self) -> None:
        """Add what waits to the record and take out what does no longer; nothing is written while nothing waited."""
        if self._waiting or self._is_kept:
            await self._kept.change(add=self._waiting, remove=self._done)
            self._done.clear()
        self._is_kept = bool(self._waiting)
