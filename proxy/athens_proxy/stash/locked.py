"""The second stash layer: one fetch per module version among all replicas, as far as the lock service can see to it.

Waiters poll the lock and the store. Whoever gets the lock looks into the store first, so the result of one replica
serves all. What goes wrong with the lock is counted, logged once per outage, and answered by fetching without it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Final

from athens_proxy.errors import ModuleNotFound
from athens_proxy.modules import ModuleVersion
from athens_proxy.stash.lock import HeldBy, Lease, Locks, LockUnavailable
from athens_proxy.stash.stasher import Stasher
from athens_proxy.storage.storage import Storage

FIRST_POLL_S: Final = 0.02
LONGEST_POLL_S: Final = 0.5
LOOK_INTO_STORE_EVERY_S: Final = 1.0
# A replica waits for two holders: one that fails or dies, and one that takes over. Who waited for every holder would
# ask for a version that does not exist as the last of a long queue.
HOLDERS_TO_WAIT_FOR: Final = 2
OUTAGE_PAUSE_S: Final = 1.0
_LOG = logging.getLogger(__name__)
OnLock = Callable[[str], None]


class Locked:
    """Holds the lock of a version while the inner layer works.

    Args:
        inner: fetches and saves.
        locks: the service.
        storage: where another replica's result appears.
        wait_at_most_s: after so long with somebody else's lock the version is fetched without it.
        on_lock: told how each attempt ended: acquired, stored (somebody else's result), crowded, timeout,
            unavailable, lost.
        waiting: entered while a lock is waited for.
    """

    def __init__(
        self,
        inner: Stasher,
        *,
        locks: Locks,
        storage: Storage,
        wait_at_most_s: float,
        on_lock: OnLock,
        waiting: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._inner = inner
        self._locks = locks
        self._storage = storage
        self._wait_at_most_s = wait_at_most_s
        self._on_lock = on_lock
        self._waiting = waiting
        self._asked_again_at = 0.0
        self._is_down = False

    async def stash(self, wanted: ModuleVersion, *, upstream: str = "") -> ModuleVersion:
        """Fetch and save unless another replica just did; see `Stasher.stash`."""
        async with self._held(wanted):
            if await self._is_stored(wanted):
                self._on_lock("stored")
                return wanted
            return await self._inner.stash(wanted, upstream=upstream)

    @asynccontextmanager
    async def _held(self, wanted: ModuleVersion) -> AsyncIterator[None]:
        """The lock, renewed while the context is open; or no lock, for whatever reason."""
        with self._waiting():
            lease = await self._acquired(wanted)
        if lease is None:
            yield
            return
        renewal = asyncio.create_task(self._renew(lease), name=f"lock {lease.key}")
        try:
            yield
        finally:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)
            await self._release(lease)

    async def _acquired(self, wanted: ModuleVersion) -> Lease | None:
        """The lock; None when the version is to be looked for, or fetched, without it."""
        deadline = time.monotonic() + self._wait_at_most_s
        store_at = time.monotonic() + LOOK_INTO_STORE_EVERY_S
        holders: set[str] = set()
        poll_s = FIRST_POLL_S
        while isinstance(answer := await self._ask(str(wanted)), HeldBy):
            holders.add(answer.holder)
            now = time.monotonic()
            if len(holders) > HOLDERS_TO_WAIT_FOR or now >= deadline:
                self._on_lock("timeout" if now >= deadline else "crowded")
                return None
            if now >= store_at:
                store_at = now + LOOK_INTO_STORE_EVERY_S
                if await self._is_stored(wanted):
                    return None
            await asyncio.sleep(min(poll_s * random.uniform(0.75, 1.25), deadline - now))  # noqa: S311 - no secret
            poll_s = min(poll_s * 1.5, LONGEST_POLL_S)
        return answer

    async def _ask(self, key: str) -> Lease | HeldBy | None:
        if time.monotonic() < self._asked_again_at:
            self._on_lock("unavailable")
            return None
        try:
            answer = await self._locks.acquire(key)
        except LockUnavailable as error:
            self._failed(error)
            return None
        self._answered()
        if isinstance(answer, Lease):
            self._on_lock("acquired")
        return answer

    async def _renew(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(self._locks.lease_s / 3)
            try:
                if not await self._locks.renew(lease):
                    self._on_lock("lost")
                    return
            except LockUnavailable as error:
                self._failed(error)

    async def _release(self, lease: Lease) -> None:
        try:
            await self._locks.release(lease)
        except LockUnavailable:  # it lapses by itself, and whether there is an outage the next attempt tells
            self._on_lock("unavailable")

    async def _is_stored(self, wanted: ModuleVersion) -> bool:
        """Whether all three files are there: a zip may have been evicted, a crashed save may lack one."""
        try:
            await self._storage.mod(wanted)
            async with await self._storage.open_zip(wanted):
                return True
        except ModuleNotFound:
            return False

    def _failed(self, error: LockUnavailable) -> None:
        self._on_lock("unavailable")
        if self._is_down:  # one failure is no outage; in one, not every version shall wait for a time-out
            self._asked_again_at = time.monotonic() + OUTAGE_PAUSE_S
        else:
            self._is_down = True
            _LOG.warning("%s; versions are fetched without a lock until it answers", error)

    def _answered(self) -> None:
        if self._is_down:
            self._is_down = False
            _LOG.info("%s answers again", self._locks.name)
