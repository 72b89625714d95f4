"""A fetch in steps that a test takes: the small files first, the zip when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from athens_proxy.modules import ModuleVersion
from athens_proxy.storage.storage import FetchedModule
from athens_proxy.upstream.fetcher import Show, SmallFiles, show_nobody
from support.modules_fixture import SampleModule


class SteppedFetcher:
    """A `ShowingFetcher` of one sample module.

    Attributes:
        begun: set once a fetch runs.
        shown: set once the small files were shown.
        zip_comes: the zip comes once it is set.
        shows: whether the small files are shown early.
        vouches: whether they are shown as those that a checksum database knows.
        failure: raised in place of the zip.
        fetches: how many have begun.
    """

    def __init__(self, sample: SampleModule, scratch: Path) -> None:
        scratch.mkdir(exist_ok=True)
        self._sample = sample
        self._scratch = scratch
        self.begun = asyncio.Event()
        self.shown = asyncio.Event()
        self.zip_comes = asyncio.Event()
        self.shows = True
        self.vouches = False
        self.failure: Exception | None = None
        self.fetches = 0

    @asynccontextmanager
    async def fetch(
        self, wanted: ModuleVersion, *, upstream: str = "", show: Show = show_nobody
    ) -> AsyncIterator[FetchedModule]:
        self.fetches += 1
        self.begun.set()
        fetched = self._sample.fetched(self._scratch)
        if self.shows:
            files = SmallFiles(fetched.wanted, fetched.info, fetched.mod, fetched.mod_h1, is_vouched=self.vouches)
            await show(files)
        self.shown.set()
        await self.zip_comes.wait()
        if self.failure:
            raise self.failure
        yield fetched
