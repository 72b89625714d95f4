"""Whether requests should be sent here; probes come often and wait briefly, so they get an answer that is kept.

A store that is slow for a moment is no reason to take this replica out of service: while it is being asked again the
last answer stands. Only an answer, or none within `CHECK_TIMEOUT_S`, changes it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from athens_proxy.errors import ProxyError
from athens_proxy.storage.storage import Storage

KEPT_S: Final = 5.0
CHECK_TIMEOUT_S: Final = 4.0
PATIENCE_S: Final = 0.5  # a probe's time-out is one second where nobody has set it


class Readiness:
    """Checks the store at most once in `KEPT_S`.

    Args:
        storage: must be able to serve.
        clock: seconds that only grow.
    """

    def __init__(self, storage: Storage, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._storage = storage
        self._clock = clock
        self._problem = "the storage has not answered yet"
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def problem(self) -> str:
        """Why not, "" when ready; within `PATIENCE_S`."""
        if self._asking is None and self._clock() - self._asked_at >= KEPT_S:
            self._asking = asyncio.create_task(self._ask(), name="readiness")
        if self._asking is not None:
            await asyncio.wait({self._asking}, timeout=PATIENCE_S)
        return self._problem

    async def aclose(self) -> None:
        """End the check that is under way."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self) -> None:
        try:
            self._problem = await self._check()
            self._asked_at = self._clock()
        finally:
            self._asking = None

    async def _check(self) -> str:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await self._storage.check()
        except ProxyError as error:
            return str(error)
        except TimeoutError:
            return f"the storage does not answer within {CHECK_TIMEOUT_S:.0f} s"
        return ""
