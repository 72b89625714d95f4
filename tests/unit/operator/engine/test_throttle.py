"""The token bucket's promises, in virtual time."""

from __future__ import annotations

import asyncio

from athens_operator.throttle import TokenBucket
from support.virtual_time import in_virtual_time


def test_a_burst_passes_and_the_rest_follows_at_the_rate() -> None:
    async def main() -> float:
        bucket = TokenBucket(per_s=10, burst=5)
        await asyncio.sleep(100)  # a rest does not save up more than the burst
        began = asyncio.get_running_loop().time()
        for _ in range(25):
            await bucket.take()
        return asyncio.get_running_loop().time() - began

    assert 1.9 < in_virtual_time(main()) < 2.1


def test_a_pause_holds_for_everybody() -> None:
    async def main() -> float:
        bucket = TokenBucket()
        bucket.pause(7)
        await asyncio.gather(*(bucket.take() for _ in range(3)))
        return asyncio.get_running_loop().time()

    assert in_virtual_time(main()) >= 7
