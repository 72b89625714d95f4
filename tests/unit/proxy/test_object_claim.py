"""The lease on one version: who may write, who waits, who stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from athens_proxy.errors import StorageError
from athens_proxy.storage.object_claim import Claim
from athens_proxy.storage.object_client import ObjectAbsent, ObjectChanged, ObjectClient, ObjectExists, Revision
from support.virtual_time import in_virtual_time


class OneObject:
    """A bucket as far as a claim looks: every write makes a new revision."""

    name = "test bucket"
    seeks = True

    def __init__(self) -> None:
        self.data: bytes | None = None
        self.writes = 0
        self.is_down = False

    @property
    def revision(self) -> Revision:
        return Revision(len(self.data or b""), str(self.writes), str(self.writes))

    async def open(self, key: str, **_: object) -> OneObject:
        if self.data is None:
            raise ObjectAbsent(key)
        return self

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.data or b""

    async def write(self, key: str, data: bytes, *, content_type: str, create: bool = False, replaces: str = "") -> str:
        if self.is_down:
            raise StorageError("down")
        if create and self.data is not None:
            raise ObjectExists(key)
        if replaces and (self.data is None or replaces != str(self.writes)):
            raise ObjectChanged(key)
        self.data = data
        self.writes += 1
        return str(self.writes)


def claim(bucket: OneObject, sums: bytes) -> Claim:
    return Claim(cast(ObjectClient, bucket), "key", sums, lease_s=90)


async def taken(held: Claim) -> float:
    """The seconds until it is ours."""
    begun = asyncio.get_running_loop().time()
    while not await held.taken():
        pass
    return asyncio.get_running_loop().time() - begun


def test_the_first_claim_is_taken_at_once_and_the_same_bytes_join() -> None:
    async def main() -> None:
        bucket = OneObject()

        assert await taken(claim(bucket, b"one")) == 0
        assert await taken(claim(bucket, b"one")) == 0

    in_virtual_time(main())


def test_other_bytes_wait_for_a_whole_silent_lease() -> None:
    async def main() -> None:
        bucket = OneObject()
        await taken(claim(bucket, b"dead"))

        assert 90 < await taken(claim(bucket, b"other")) < 100
        assert bucket.data == b"other"

    in_virtual_time(main())


def test_a_saver_that_works_for_an_hour_keeps_its_claim() -> None:
    async def main() -> None:
        bucket = OneObject()
        worker = claim(bucket, b"slow")
        await taken(worker)
        rival = asyncio.create_task(taken(claim(bucket, b"other")))

        await worker.work(asyncio.sleep(3600))
        await worker.confirm()

        assert bucket.data == b"slow"
        rival.cancel()

    in_virtual_time(main())


def test_two_savers_of_the_same_bytes_keep_the_claim_together() -> None:
    async def main() -> None:
        bucket = OneObject()
        workers = [claim(bucket, b"same"), claim(bucket, b"same")]
        for worker in workers:
            await taken(worker)

        await asyncio.gather(*(worker.work(asyncio.sleep(600)) for worker in workers))
        for worker in workers:
            await worker.confirm()

    in_virtual_time(main())


def test_a_saver_that_cannot_renew_stops_before_anybody_takes_over() -> None:
    async def main() -> None:
        bucket = OneObject()
        worker = claim(bucket, b"cut off")
        await taken(worker)
        bucket.is_down = True
        begun = asyncio.get_running_loop().time()

        with pytest.raises(StorageError):
            await worker.work(asyncio.sleep(3600))

        assert 60 < asyncio.get_running_loop().time() - begun < 90

    in_virtual_time(main())


def test_a_saver_whose_claim_was_taken_over_is_told_before_it_commits() -> None:
    async def main() -> None:
        bucket = OneObject()
        frozen = claim(bucket, b"frozen")
        await taken(frozen)
        await taken(claim(bucket, b"other"))

        with pytest.raises(StorageError):
            await frozen.confirm()
        with pytest.raises(StorageError):
            await frozen.work(asyncio.sleep(3600))

    in_virtual_time(main())
