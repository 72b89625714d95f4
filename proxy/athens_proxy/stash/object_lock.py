"""Locks as objects of a bucket, for stores whose service offers conditional writes: no further service is needed.

A lock is an object below `.athens/locks/` whose content its holder changes at each renewal. Clocks are never compared:
a waiter that sees the same content for a whole lease takes the lock over, by a write on condition of that content.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

from athens_proxy.stash.lock import LEASE_S, HeldBy, Lease

FOLDER: Final = ".athens/locks/"
MANY_SEEN: Final = 10_000


class ConditionalObjects(Protocol):
    """What locks need of a bucket. Every method raises `LockUnavailable` when the service fails."""

    @property
    def name(self) -> str:
        """The bucket for messages."""

    async def check(self) -> None:
        """Succeed when the bucket can be asked."""

    async def create_only(self, key: str, data: bytes) -> str | None:
        """Write an object unless there is one; its tag, None if there is one."""

    async def read(self, key: str) -> tuple[bytes, str] | None:
        """An object's content and the tag that tells it from other contents; None if there is no object."""

    async def replace(self, key: str, data: bytes, *, tag: str) -> str | None:
        """Write an object if its tag is this one; the new tag, None if it is not."""

    async def delete(self, key: str) -> None:
        """Remove an object; one that is absent is fine."""


class ObjectLocks:
    """`Locks` in a bucket.

    Args:
        objects: the bucket.
        lease_s: see `Locks.lease_s`.
        clock: seconds that only grow.
    """

    def __init__(
        self, objects: ConditionalObjects, *, lease_s: float = LEASE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._objects = objects
        self._lease_s = lease_s
        self._clock = clock
        self._seen: OrderedDict[str, tuple[str, float]] = OrderedDict()  # others' locks: tag, and since when
        self._held: dict[str, tuple[str, float]] = {}  # ours by proof: tag, and when it was written

    @property
    def name(self) -> str:
        """The service; see `Locks.name`."""
        return f"locks in {self._objects.name}"

    @property
    def lease_s(self) -> float:
        """See `Locks.lease_s`."""
        return self._lease_s

    async def check(self) -> None:
        """See `Locks.check`."""
        await self._objects.check()

    async def acquire(self, key: str) -> Lease | HeldBy:
        """Take the lock if it is free or has lapsed; see `Locks.acquire`."""
        lease = Lease(key, secrets.token_urlsafe(16))
        asked_at = self._clock()
        tag = await self._objects.create_only(_object(key), _content(lease))
        if tag is None:
            present = await self._objects.read(_object(key))
            if present is None:  # released a moment ago; the next attempt will tell
                return HeldBy("nobody any more")
            content, seen = present
            holder = HeldBy(content.partition(b" ")[0].decode(errors="replace"))
            if not self._has_lapsed(key, seen):
                return holder
            tag = await self._objects.replace(_object(key), _content(lease), tag=seen)
            if tag is None:
                return holder
        self._seen.pop(key, None)
        self._held[lease.proof] = (tag, asked_at)
        return lease

    async def renew(self, lease: Lease) -> bool:
        """Write new content; see `Locks.renew`."""
        tag, _ = self._held[lease.proof]
        begun = self._clock()
        renewed = await self._objects.replace(_object(lease.key), _content(lease), tag=tag)
        if renewed is not None:
            self._held[lease.proof] = (renewed, begun)
        return renewed is not None

    async def release(self, lease: Lease) -> None:
        """Delete the object while nobody can have taken it over; see `Locks.release`."""
        _, written_at = self._held.pop(lease.proof)
        if self._clock() - written_at < self._lease_s:
            await self._objects.delete(_object(lease.key))

    async def close(self) -> None:
        """The bucket stays the caller's."""

    def _has_lapsed(self, key: str, tag: str) -> bool:
        """Whether the same content has been there for a whole lease, as far as this process has watched."""
        seen, since = self._seen.get(key, ("", 0.0))
        if seen == tag:
            return self._clock() - since >= self._lease_s
        self._seen[key] = (tag, self._clock())
        self._seen.move_to_end(key)
        if len(self._seen) > MANY_SEEN:
            self._seen.popitem(last=False)
        return False


def _object(key: str) -> str:
    return FOLDER + key


def _content(lease: Lease) -> bytes:
    """The holder, and something that no earlier content had."""
    return f"{lease.proof} {secrets.token_hex(8)}".encode()
