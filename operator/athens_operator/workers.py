"""Takes keys from the queue and runs them; turns whatever goes wrong into the time of the next attempt."""

from __future__ import annotations

import asyncio
import logging
import secrets as tokens
from collections.abc import Awaitable, Callable, Mapping

from structlog.contextvars import bound_contextvars

from athens_operator.cluster import NamespaceTerminating, NotFound, Throttled
from athens_operator.errors import ClusterError
from athens_operator.metrics import Metrics
from athens_operator.queue import WorkQueue
from athens_operator.resources import Key

logger = logging.getLogger(__name__)

WORKERS = 12
PERMANENT_AGAIN_S = 300.0

Reconcile = Callable[[Key], Awaitable[float | None]]


class Workers:
    """The crew of the queue.

    Args:
        queue: what to do.
        reconcilers: how, by the key's kind; each returns the seconds until the next pass or None for never.
        metrics: counts passes and measures them.
        crashed: tells the object's owner that a pass failed through a fault of ours.
    """

    def __init__(
        self,
        queue: WorkQueue[Key],
        reconcilers: Mapping[str, Reconcile],
        metrics: Metrics,
        crashed: Callable[[Key], Awaitable[None]],
    ) -> None:
        self._queue = queue
        self._reconcilers = reconcilers
        self._metrics = metrics
        self._crashed = crashed
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled; a pass that has begun is not cut off, see `finish`."""
        async with asyncio.TaskGroup() as crew:
            for _ in range(WORKERS):
                crew.create_task(self._work())

    async def finish(self, within_s: float) -> None:
        """Let the passes that have begun come to their end, for that long."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=within_s)
            for task in late:
                task.cancel()

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            task = asyncio.create_task(self._one(key))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            await asyncio.shield(task)

    async def _one(self, key: Key) -> None:
        """One pass, with everything that is logged meanwhile marked by the key and an id of the pass."""
        try:
            with bound_contextvars(object=str(key), reconcile=tokens.token_hex(4)), self._metrics.reconcile_s.time():
                result = await self._pass(key)
            self._metrics.reconciles.labels(kind=key.kind, result=result).inc()
        finally:
            self._queue.done(key)

    async def _pass(self, key: Key) -> str:
        try:
            again_s = await self._reconcilers[key.kind](key)
        except (NamespaceTerminating, NotFound) as error:
            logger.info("given up until something changes: %s", error)
            self._queue.add_after(key, PERMANENT_AGAIN_S)
            return "dropped"
        except Throttled as error:
            self._queue.add_after(key, error.retry_after_s)
            return "throttled"
        except ClusterError as error:
            return self._failed(key, error)
        except Exception:
            logger.exception("a pass failed in an unexpected way")
            self._queue.retry(key)
            await self._tell(key)
            return "crashed"
        self._queue.forget(key)
        if again_s is not None:
            self._queue.look_again(key, again_s)
        return "ok"

    async def _tell(self, key: Key) -> None:
        try:
            await self._crashed(key)
        except Exception:  # what broke the pass may break its report as well
            logger.exception("the failed pass could not be reported")

    def _failed(self, key: Key, error: ClusterError) -> str:
        if not error.transient:
            logger.warning("a person must change something: %s", error)
            self._queue.add_after(key, PERMANENT_AGAIN_S)
            return "refused"
        delay_s = self._queue.retry(key)
        logger.info("again in %.1f s: %s", delay_s, error)
        return "retry"
