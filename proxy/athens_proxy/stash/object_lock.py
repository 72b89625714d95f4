"""Locks as objects of the store's own bucket, where the service offers conditional writes: nothing else is needed.

A lock is an object below `.athens/locks/` whose content its holder changes at each renewal. Clocks are never compared:
a waiter that sees the same content for a whole lease takes the lock over, by a write on condition of that content.

Athens has no such object on Google Cloud Storage; on Azure it leases `lease/<module@version>`, which it never deletes,
so the two do not see each other's locks there. Their saves are kept whole by the store.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from athens_proxy.errors import StorageError
from athens_proxy.stash.lock import LEASE_S, HeldBy, Lease, LockUnavailable
from athens_proxy.storage.object_client import ObjectAbsent, ObjectChanged, ObjectClient, ObjectExists

TIMEOUT_S: Final = 10.0  # buckets have long tails, and one that is gone takes the store with it anyway
MANY_SEEN: Final = 10_000
CONTENT_TYPE: Final = "text/plain"
MAX_CONTENT_BYTES: Final = 1024


class ObjectLocks:
    """`Locks` in a bucket.

    Args:
        client: the bucket; it stays the caller's.
        key_of: the object's key for a record of this name.
        lease_s: see `Locks.lease_s`.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        client: ObjectClient,
        key_of: Callable[[str], str],
        *,
        lease_s: float = LEASE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._key_of = key_of
        self._lease_s = lease_s
        self._clock = clock
        self._seen: OrderedDict[str, tuple[str, float]] = OrderedDict()  # others' locks: tag, and since when
        self._held: dict[str, tuple[str, float]] = {}  # ours by proof: tag, and when it was written

    @property
    def name(self) -> str:
        """The service; see `Locks.name`."""
        return f"locks in {self._client.name}"

    @property
    def lease_s(self) -> float:
        """See `Locks.lease_s`."""
        return self._lease_s

    async def check(self) -> None:
        """See `Locks.check`."""
        async with self._asking():
            await self._client.check(self._object("check"))

    async def acquire(self, key: str) -> Lease | HeldBy:
        """Take the lock if it is free or has lapsed; see `Locks.acquire`."""
        lease, begun = Lease(key, secrets.token_urlsafe(16)), self._clock()
        async with self._asking():
            try:
                tag = await self._write(lease, create=True)
            except ObjectExists:
                holder, tag = await self._taken_over(lease)
                if not tag:
                    return holder
        self._seen.pop(key, None)
        self._held[lease.proof] = (tag, begun)
        return lease

    async def renew(self, lease: Lease) -> bool:
        """Write new content; see `Locks.renew`."""
        tag, begun = self._held[lease.proof][0], self._clock()
        async with self._asking():
            try:
                self._held[lease.proof] = (await self._write(lease, replaces=tag), begun)
            except ObjectChanged:
                return False
        return True

    async def release(self, lease: Lease) -> None:
        """Delete the object while nobody can have taken it over; see `Locks.release`."""
        _, written_at = self._held.pop(lease.proof)
        if self._clock() - written_at < self._lease_s:
            async with self._asking():
                await self._client.delete(self._object(lease.key))

    async def close(self) -> None:
        """The bucket stays the caller's."""

    async def _taken_over(self, lease: Lease) -> tuple[HeldBy, str]:
        """The present holder, and the tag of our content, "" as long as the holder lives."""
        try:
            content, tag = await self._present(lease.key)
            holder = HeldBy(content.partition(b" ")[0].decode(errors="replace"))
            is_ours = self._has_lapsed(lease.key, tag)
            return holder, await self._write(lease, replaces=tag) if is_ours else ""
        except (ObjectAbsent, ObjectChanged):  # released, renewed or taken over this moment: the next attempt will tell
            return HeldBy("somebody else"), ""

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

    async def _present(self, key: str) -> tuple[bytes, str]:
        opened = await self._client.open(self._object(key))
        try:
            content = b""
            async for chunk in opened.chunks():
                content = (content + chunk)[:MAX_CONTENT_BYTES]
            return content, opened.revision.tag
        finally:
            await opened.close()

    async def _write(self, lease: Lease, *, create: bool = False, replaces: str = "") -> str:
        """Write the holder, and something that no earlier content had."""
        content = f"{lease.proof} {secrets.token_hex(8)}".encode()
        key = self._object(lease.key)
        return await self._client.write(key, content, content_type=CONTENT_TYPE, create=create, replaces=replaces)

    def _object(self, key: str) -> str:
        return self._key_of(f"locks/{key}")

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """A bucket that fails, or is slower than a lock is worth, as an unavailable service."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                yield
        except StorageError as error:
            raise LockUnavailable(f"{self.name}: {error}") from error
        except TimeoutError as error:
            raise LockUnavailable(f"{self.name}: no answer within {TIMEOUT_S:.0f} s") from error
