"""Whether requests should be sent here; asked often, so the answer is kept for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from athens_proxy.errors import ProxyError
from athens_proxy.storage.storage import Storage

KEPT_S: Final = 2.0
CHECK_TIMEOUT_S: Final = 4.0


class Readiness:
    """Checks the store at most once in `KEPT_S`.

    Args:
        storage: must be able to serve.
        clock: seconds that only grow.
    """

    def __init__(self, storage: Storage, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._storage = storage
        self._clock = clock
        self._problem = ""
        self._checked_at = -KEPT_S
        self._lock = asyncio.Lock()

    async def problem(self) -> str:
        """Why not, "" when ready."""
        async with self._lock:
            if self._clock() - self._checked_at >= KEPT_S:
                self._problem = await self._check()
                self._checked_at = self._clock()
            return self._problem

    async def _check(self) -> str:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await self._storage.check()
        except ProxyError as error:
            return str(error)
        except TimeoutError:
            return f"the storage does not answer within {CHECK_TIMEOUT_S:.0f} s"
        return ""
