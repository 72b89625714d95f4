"""Shows the small files of a version to whoever waits for them, while its zip is still on its way."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from athens_proxy.modules import ModuleVersion
from athens_proxy.storage.storage import FetchedModule
from athens_proxy.upstream.fetcher import ShowingFetcher, SmallFiles
from athens_proxy.upstream.whole_mod import looks_whole
from athens_proxy.upstream.zip_turns import ZipTurns

_Key = tuple[ModuleVersion, str]


class Announced:
    """A `Fetcher` that announces what has arrived.

    Args:
        inner: shows the small files once they may be served.
        turns: told what clients ask for, which decides whose zip comes next.
    """

    def __init__(self, inner: ShowingFetcher, turns: ZipTurns) -> None:
        self._inner = inner
        self._turns = turns
        self._shown: dict[_Key, SmallFiles] = {}
        self._waiting: defaultdict[_Key, set[asyncio.Future[SmallFiles]]] = defaultdict(set)

    @asynccontextmanager
    async def fetch(self, wanted: ModuleVersion, *, upstream: str = "") -> AsyncIterator[FetchedModule]:
        """See `Fetcher.fetch`; the small files are shown until the context ends, when the store has them."""
        key = (wanted, upstream)

        async def show(files: SmallFiles) -> None:
            if not (files.is_vouched or looks_whole(files.mod)):  # the zip will tell
                return
            self._shown[key] = files
            for waiter in self._waiting.get(key, ()):
                if not waiter.done():
                    waiter.set_result(files)

        try:
            async with self._inner.fetch(wanted, upstream=upstream, show=show) as fetched:
                yield fetched
        finally:
            self._shown.pop(key, None)

    def asked(self, wanted: ModuleVersion, extension: str) -> None:
        """See `ZipTurns.asked`."""
        self._turns.asked(wanted, extension)

    async def small_files(self, wanted: ModuleVersion, *, upstream: str = "") -> SmallFiles:
        """The small files of a fetch under way or to come; never returns where none shows them, so cancel it then."""
        key = (wanted, upstream)
        if key in self._shown:
            return self._shown[key]
        waiter: asyncio.Future[SmallFiles] = asyncio.get_running_loop().create_future()
        self._waiting[key].add(waiter)
        try:
            return await waiter
        finally:
            self._waiting[key].discard(waiter)
            if not self._waiting[key]:
                del self._waiting[key]
