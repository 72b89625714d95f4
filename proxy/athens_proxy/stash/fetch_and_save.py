"""The innermost stash layer: fetch a version and save it.

There is no deadline here: a flowing HTTP body has none, and each fetcher bounds its own waiting.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from athens_proxy.modules import ModuleVersion
from athens_proxy.storage.storage import FetchedModule, Storage
from athens_proxy.upstream.fetcher import Fetcher

SAVES: Final = 64
"""How many versions may be written at once; each may hold a part of its zip for an object store."""

OnFetch = Callable[[bool, float], None]
OnSaved = Callable[[FetchedModule], None]


class FetchAndSave:
    """Asks the fetcher, hands what it brings to the store.

    Args:
        fetcher: where versions come from.
        storage: where they go.
        on_fetch: told after each fetch whether it succeeded and how many seconds it took.
        on_saved: told after each save what was saved; its zip may be gone from where it was.
    """

    def __init__(
        self, fetcher: Fetcher, storage: Storage, *, on_fetch: OnFetch, on_saved: OnSaved = lambda saved: None
    ) -> None:
        self._fetcher = fetcher
        self._storage = storage
        self._on_fetch = on_fetch
        self._on_saved = on_saved
        self._saves = asyncio.Semaphore(SAVES)

    async def stash(self, wanted: ModuleVersion, *, upstream: str = "") -> ModuleVersion:
        """Fetch and save; see `Stasher.stash`."""
        begin = time.monotonic()
        succeeded = False
        try:
            async with self._fetcher.fetch(wanted, upstream=upstream) as fetched, self._saves:
                await self._storage.save(fetched)
                self._on_saved(fetched)
            succeeded = True
        finally:
            self._on_fetch(succeeded, time.monotonic() - begin)
        return fetched.wanted
