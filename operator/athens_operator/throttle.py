"""A token bucket for writes, so that a storm of ours never becomes a storm for the API server."""

from __future__ import annotations

import asyncio

WRITES_PER_S = 300.0  # a shared policy over 500 proxies settles in seconds; priority and fairness guard the rest
BURST = 600.0


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

    def pause(self, seconds: float) -> None:
        """Let nobody through for that long; a longer pause already in force stays."""
        self._closed_until = max(self._closed_until, asyncio.get_running_loop().time() + seconds)
