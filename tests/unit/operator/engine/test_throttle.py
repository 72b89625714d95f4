"""The token bucket's promises, in virtual time."""

from __future__ import annotations

import asyncio

from athens_operator.throttle import BREAK_LAST_S, FAILURES_IN_A_ROW, TokenBucket
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


def test_failures_in_a_row_make_everybody_pause_and_a_success_ends_that() -> None:
    async def main() -> tuple[float, float]:
        bucket = TokenBucket()
        for _ in range(FAILURES_IN_A_ROW - 1):
            bucket.failed()
        await bucket.take()
        at_once = asyncio.get_running_loop().time()
        for _ in range(20):
            bucket.failed()
        await bucket.take()
        later = asyncio.get_running_loop().time()
        bucket.succeeded()
        bucket.failed()
        await bucket.take()
        assert asyncio.get_running_loop().time() == later
        return at_once, later

    at_once, later = in_virtual_time(main())

    assert at_once == 0
    assert BREAK_LAST_S / 2 <= later <= BREAK_LAST_S


def test_a_pause_holds_for_everybody() -> None:
    async def main() -> float:
        bucket = TokenBucket()
        bucket.pause(7)
        await asyncio.gather(*(bucket.take() for _ in range(3)))
        return asyncio.get_running_loop().time()

    assert in_virtual_time(main()) >= 7
