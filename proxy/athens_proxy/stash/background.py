"""Fetches that nobody waits for, of the async download modes: a bounded queue with owned workers."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from athens_proxy.errors import ModuleNotFound, ProxyError
from athens_proxy.modules import ModuleVersion
from athens_proxy.stash.stasher import Stasher

QUEUE_LENGTH = 1_000
_LOG = logging.getLogger(__name__)


class BackgroundStash:
    """Stashes versions one after the other in each of its workers.

    Args:
        stasher: does the work; its single flight covers a version that is asked for directly meanwhile.
        workers: how many run at once.
        queue_length: how many may wait; more are dropped and logged, and asked for again by the next request.
    """

    def __init__(self, stasher: Stasher, *, workers: int, queue_length: int = QUEUE_LENGTH) -> None:
        self._stasher = stasher
        self._queue: asyncio.Queue[tuple[ModuleVersion, str]] = asyncio.Queue(queue_length)
        self._waiting: set[tuple[ModuleVersion, str]] = set()
        self._workers = [asyncio.create_task(self._work(), name=f"background-stash-{n}") for n in range(workers)]

    @property
    def waiting_count(self) -> int:
        """How many versions wait."""
        return len(self._waiting)

    def add(self, wanted: ModuleVersion, *, upstream: str = "") -> bool:
        """Queue a version unless it waits already; never blocks. False when the queue is full."""
        item = (wanted, upstream)
        if item in self._waiting:
            return True
        try:
            self._queue.put_nowait(item)
        except asyncio.QueueFull:
            _LOG.warning("background fetch dropped: the queue is full", extra={"wanted": str(wanted)})
            return False
        self._waiting.add(item)
        return True

    async def drain(self, *, within_s: float) -> None:
        """Finish what is queued, for at most `within_s` seconds, then stop the workers."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._queue.join(), within_s)
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            wanted, upstream = item = await self._queue.get()
            self._waiting.discard(item)
            try:
                await self._stasher.stash(wanted, upstream=upstream)
            except ProxyError as error:
                level = logging.INFO if isinstance(error, ModuleNotFound) else logging.ERROR
                _LOG.log(level, "background fetch failed: %s", error, extra={"wanted": str(wanted)})
            except Exception:  # noqa: BLE001 - an outermost edge: a defect must not end the worker
                _LOG.exception("background fetch failed", extra={"wanted": str(wanted)})
            finally:
                self._queue.task_done()
