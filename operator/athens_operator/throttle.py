"""A token bucket for writes, so that a storm of ours never becomes a storm for the API server."""

from __future__ import annotations

import asyncio
import random

WRITES_PER_S = 600.0  # 2,000 proxies start within a minute; priority and fairness guard the API server
BURST = 1200.0
FAILURES_IN_A_ROW = 5
BREAK_FIRST_S = 0.5
BREAK_LAST_S = 8.0  # longer, and a server that comes back would wait for us


class TokenBucket:
    """Lets `burst` requests through at once and `per_s` each second after that; `pause` stops everybody.

    Args:
        per_s: tokens that come back each second.
        burst: tokens that are there at most.
    """

    def __init__(self, *, per_s: float = WRITES_PER_S, burst: float = BURST) -> None:
        self._per_s = per_s
        self._burst = burst
        self._tokens = burst
        self._filled_at = 0.0
        self._closed_until = 0.0
        self._turn = asyncio.Lock()
        self._failures = 0

    async def take(self) -> None:
        """Wait for a token and for the end of a pause; first come, first served."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            await asyncio.sleep(max(0.0, self._closed_until - loop.time()))
            now = loop.time()
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_s)
            self._filled_at = now
            self._tokens -= 1
            if self._tokens < 0:
                await asyncio.sleep(-self._tokens / self._per_s)

    def failed(self) -> None:
        """The server did not do its part; after several times in a row everybody pauses, longer each time."""
        self._failures += 1
        if self._failures >= FAILURES_IN_A_ROW:
            longest_s = min(BREAK_LAST_S, BREAK_FIRST_S * 2.0 ** min(self._failures - FAILURES_IN_A_ROW, 16))
            self.pause(longest_s * random.uniform(0.5, 1.0))  # noqa: S311 (jitter, not a secret)

    def succeeded(self) -> None:
        """The server works."""
        self._failures = 0

    def pause(self, seconds: float) -> None:
        """Let nobody through for that long; a longer pause already in force stays."""
        self._closed_until = max(self._closed_until, asyncio.get_running_loop().time() + seconds)
