"""A stash layer that bounds how many fetches run at once; reads of what is stored never pass here."""

from __future__ import annotations

import asyncio

from athens_proxy.modules import ModuleVersion
from athens_proxy.stash.stasher import Stasher


class Limited:
    """Lets `at_most` calls through; the others wait in order of arrival."""

    def __init__(self, inner: Stasher, *, at_most: int) -> None:
        self._inner = inner
        self._slots = asyncio.Semaphore(at_most)

    async def stash(self, wanted: ModuleVersion, *, upstream: str = "") -> ModuleVersion:
        """Fetch and save when a slot is free; see `Stasher.stash`."""
        async with self._slots:
            return await self._inner.stash(wanted, upstream=upstream)
