"""A `Fetcher` that hands over nothing a checksum database does not vouch for.

The database is asked when the fetch starts, so that proving its answer takes no time of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from athens_proxy.checksums.tlog import TileAt
from athens_proxy.checksums.verifier import Sums, Verifier, Vouched
from athens_proxy.errors import ModuleNotFound, ProxyError, UpstreamError, UpstreamThrottled, UpstreamTimeout
from athens_proxy.modules import ModuleVersion
from athens_proxy.storage.storage import FetchedModule
from athens_proxy.upstream.fetcher import Show, ShowingFetcher, SmallFiles, show_nobody
from athens_proxy.upstream.kept_answers import Records
from athens_proxy.upstream.sumdb import NEWEST, ChecksumDatabase
from athens_proxy.upstream.sumdb_requests import Lookup, Tile


class Verified:
    """Verification between fetch and save.

    Args:
        inner: fetches.
        verifier: checks against one database.
        is_public: whether a version may be looked up; private ones are handed over unverified.
    """

    def __init__(
        self, inner: ShowingFetcher, verifier: Verifier, *, is_public: Callable[[ModuleVersion], bool]
    ) -> None:
        self._inner = inner
        self._verifier = verifier
        self._is_public = is_public

    @asynccontextmanager
    async def fetch(
        self, wanted: ModuleVersion, *, upstream: str = "", show: Show = show_nobody
    ) -> AsyncIterator[FetchedModule]:
        """A version whose sums the database vouches for; see `Fetcher.fetch`.

        Raises:
            ChecksumMismatch: the database has other sums.
            UpstreamError, UpstreamThrottled, UpstreamTimeout: it does not know the version, or cannot be asked.
        """
        lookups: dict[ModuleVersion, asyncio.Task[Vouched]] = {}

        def lookup(version: ModuleVersion) -> asyncio.Task[Vouched]:
            if version not in lookups:
                lookups[version] = asyncio.create_task(self._verifier.vouched(version))
            return lookups[version]

        async def show_vouched(files: SmallFiles) -> None:
            with suppress(ProxyError):  # the whole version will fail for the same reason
                if self._is_verified(files.wanted):
                    (await lookup(files.wanted)).check_mod(files.mod_h1)
                    files = replace(files, is_vouched=True)
                await show(files)

        try:
            if wanted.is_canonical and self._is_verified(wanted):
                _ = lookup(wanted)  # asked while the module is on its way
            async with self._inner.fetch(wanted, upstream=upstream, show=show_vouched) as fetched:
                if self._is_verified(fetched.wanted):
                    (await lookup(fetched.wanted)).check(Sums(fetched.zip_h1, fetched.mod_h1))
                yield fetched
        finally:
            await _discarded(list(lookups.values()))

    def _is_verified(self, version: ModuleVersion) -> bool:
        # Go's own toolchains are verified always, because they are run.
        return version.path.is_toolchain or self._is_public(version)


async def _discarded(lookups: list[asyncio.Task[Vouched]]) -> None:
    """Lookups whose module did not come are of no use any more."""
    for lookup in lookups:
        lookup.cancel()
    await asyncio.gather(*lookups, return_exceptions=True)


class DatabaseReader:
    """Reads one checksum database for a `Verifier`, through what the relay keeps; a `TreeReader`."""

    def __init__(self, database: ChecksumDatabase, records: Records) -> None:
        self._database = database
        self._records = records

    async def lookup(self, wanted: ModuleVersion, *, fresh: bool) -> bytes:
        """See `TreeReader.lookup`."""
        try:
            return await self._database.lookup(Lookup(wanted), fresh=fresh)
        except ModuleNotFound as error:
            raise UpstreamError(
                f"{wanted}: not served, because {self._database.name} does not know it; if it is private,"
                " list it in NoSumPatterns"
            ) from error
        except ProxyError as error:
            raise self._unreachable(f"{wanted}: not verified", error) from error

    async def tile(self, tile: TileAt, *, fresh: bool) -> bytes:
        """See `TreeReader.tile`."""
        try:
            return await self._database.tile(Tile(tile.path, tile.width, is_data=False), fresh=fresh)
        except ProxyError as error:
            if isinstance(error, ModuleNotFound) and not tile.is_full:
                raise  # a partial tile is gone once the tree has grown
            raise self._unreachable(f"{tile.path}: not read", error) from error

    async def newest(self) -> bytes | None:
        """See `TreeReader.newest`."""
        try:
            return await self._records.read_record(self._database.record(NEWEST))
        except ModuleNotFound:
            return None

    async def keep_newest(self, note: bytes) -> None:
        """See `TreeReader.keep_newest`."""
        await self._records.write_record(self._database.record(NEWEST), note)

    def _unreachable(self, what: str, error: ProxyError) -> ProxyError:
        """The same failure with the name of the database and what to do about it."""
        text = (
            f"{what}, because {self._database.name} cannot be asked: {error}; ask again later,"
            " or list the module in NoSumPatterns, or set SumDBs to an empty list to verify nothing"
        )
        match error:
            case UpstreamThrottled(retry_after_s=seconds):
                return UpstreamThrottled(text, retry_after_s=seconds)
            case UpstreamTimeout():
                return UpstreamTimeout(text)
            case _:
                return UpstreamError(text)
