"""The right to write one version in a bucket: a lease on its h1 record, for savers that know of each other only there.

A version has three keys and a bucket can only change one at a time. Savers of the same content (equal `h1:` sums) may
write together: whatever they leave is consistent. Savers of different content must not mix, so each first creates the
version's h1 record with its own sums; who finds other sums there waits until the version is committed or until the
record was not renewed for a whole lease, and only then takes it over, by a conditional write. A holder renews the
record while it works, and stops working when it cannot. Nobody compares clocks: a lease is watched, not read.

What stays possible: a holder whose whole machine stands still for longer than a lease, in the instant between its last
renewal and the end of its upload.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from athens_proxy.errors import StorageError
from athens_proxy.storage.object_client import ObjectAbsent, ObjectChanged, ObjectClient, ObjectExists, Revision

LEASE_S = 90.0  # bears a renewal that a busy service answers after its full time-out
CONTENT_TYPE = "text/plain"
_RENEW_AFTER = 1 / 3  # of a lease
_RETRY_AFTER = 1 / 15
_STOP_AFTER = 0.8
_LOOK_AFTER = 1 / 30


class Claim:
    """One saver's claim on one version.

    Args:
        client: the bucket.
        key: the key of the version's h1 record.
        sums: the record's content if this saver wins.
        lease_s: how long a holder may be silent.
    """

    def __init__(self, client: ObjectClient, key: str, sums: bytes, *, lease_s: float = LEASE_S) -> None:
        self._client = client
        self._key = key
        self._sums = sums
        self._lease_s = lease_s
        self._tag = ""
        self._renewed_at = 0.0
        self._rival: Revision | None = None
        self._rival_seen_at = 0.0

    async def taken(self) -> bool:
        """Try to get the claim; False after a moment's wait when another content's saver holds it.

        Raises:
            StorageError: the bucket fails.
        """
        begun = _now()
        try:
            self._renewed(await self._write(create=True), begun)
        except ObjectExists:
            return await self._joined_or_taken_over()
        return True

    async def work(self, work: Coroutine[Any, Any, None]) -> None:
        """Run this while the claim is renewed.

        Raises:
            StorageError: the claim was lost; the work was cancelled.
        """
        working = asyncio.ensure_future(work)
        renewing = asyncio.create_task(self._keep_renewing())
        try:
            await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                await renewing  # raises why it ended
            await working
        finally:
            working.cancel()
            renewing.cancel()
            await asyncio.gather(working, renewing, return_exceptions=True)

    async def confirm(self) -> None:
        """Make sure that the claim is still ours, by a renewal if the last one is not recent.

        Raises:
            StorageError: another saver has taken it over.
        """
        if _now() - self._renewed_at > self._lease_s * _RENEW_AFTER:
            await self._renew_in_time()

    async def _joined_or_taken_over(self) -> bool:
        begun = _now()
        try:
            data, revision = await self._present()
        except ObjectAbsent:
            return False
        if revision != self._rival:
            self._rival, self._rival_seen_at = revision, begun
        if data == self._sums or begun - self._rival_seen_at > self._lease_s:
            with suppress(ObjectChanged):
                self._renewed(await self._write(replaces=revision.tag), begun)
                return True
            return False
        await asyncio.sleep(self._lease_s * _LOOK_AFTER * random.uniform(0.5, 1.5))  # noqa: S311 spreads the waiters
        return False

    async def _keep_renewing(self) -> None:
        pause_s = self._lease_s * _RENEW_AFTER
        while True:
            await asyncio.sleep(pause_s)
            try:
                await self._renew_in_time()
            except StorageError:
                if self._left_s() <= 0:
                    raise
                pause_s = self._lease_s * _RETRY_AFTER
            else:
                pause_s = self._lease_s * _RENEW_AFTER

    def _left_s(self) -> float:
        """How long this saver may still believe in its claim: it stops well before anybody takes over."""
        return self._renewed_at + self._lease_s * _STOP_AFTER - _now()

    async def _renew_in_time(self) -> None:
        try:
            async with asyncio.timeout(max(0.0, self._left_s())):
                await self._renew()
        except TimeoutError as error:
            raise StorageError(
                f"{self._client.name}: save under {self._key}: the claim could not be renewed in time; ask again"
            ) from error

    async def _renew(self) -> None:
        begun = _now()
        try:
            self._renewed(await self._write(replaces=self._tag), begun)
        except ObjectChanged:
            await self._shared_or_lost(begun)

    async def _shared_or_lost(self, begun: float) -> None:
        """A saver of the same content may have renewed the record; anything else ends this save."""
        with suppress(ObjectAbsent):
            data, revision = await self._present()
            if data == self._sums:
                self._renewed(revision.tag, begun)
                return
        self._renewed_at = float("-inf")
        raise StorageError(
            f"{self._client.name}: save under {self._key}: another save of other content has taken over; ask again"
        )

    async def _present(self) -> tuple[bytes, Revision]:
        opened = await self._client.open(self._key)
        return b"".join([chunk async for chunk in opened.chunks()]), opened.revision

    async def _write(self, *, create: bool = False, replaces: str = "") -> str:
        return await self._client.write(
            self._key, self._sums, content_type=CONTENT_TYPE, create=create, replaces=replaces
        )

    def _renewed(self, tag: str, begun: float) -> None:
        """The claim holds from the moment the request was sent, at the latest."""
        self._tag = tag
        self._renewed_at = begun


def _now() -> float:
    """Seconds that only grow, of the loop that also measures the pauses."""
    return asyncio.get_running_loop().time()
