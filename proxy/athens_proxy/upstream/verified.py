"""A `Fetcher` that hands over nothing a checksum database does not vouch for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from athens_proxy.checksums.tlog import TileAt
from athens_proxy.checksums.verifier import Sums, Verifier
from athens_proxy.errors import ModuleNotFound
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.storage.storage import FetchedModule
from athens_proxy.upstream.fetcher import Fetcher
from athens_proxy.upstream.sumdb import ChecksumDatabase, Records
from athens_proxy.upstream.sumdb_requests import Lookup, Tile

_NEWEST = "newest"


class Verified:
    """Verification between fetch and save.

    Args:
        inner: fetches.
        verifier: checks against one database.
        is_public: whether a module may be looked up; private ones are handed over unverified.
    """

    def __init__(self, inner: Fetcher, verifier: Verifier, *, is_public: Callable[[ModulePath], bool]) -> None:
        self._inner = inner
        self._verifier = verifier
        self._is_public = is_public

    @asynccontextmanager
    async def fetch(self, wanted: ModuleVersion, *, upstream: str = "") -> AsyncIterator[FetchedModule]:
        """A version whose sums the database vouches for; see `Fetcher.fetch`.

        Raises:
            ChecksumMismatch: the database has other sums.
        """
        async with self._inner.fetch(wanted, upstream=upstream) as fetched:
            # Go's own toolchains are verified always, because they are run.
            if fetched.wanted.path.is_toolchain or self._is_public(fetched.wanted.path):
                await self._verifier.check(fetched.wanted, Sums(fetched.zip_h1, fetched.mod_h1))
            yield fetched


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
            raise ModuleNotFound(
                f"not found: {wanted}: unknown to {self._database.name}; if it is private, list it in NoSumPatterns"
            ) from error

    async def tile(self, tile: TileAt, *, fresh: bool) -> bytes:
        """See `TreeReader.tile`."""
        return await self._database.tile(Tile(tile.path, tile.width, is_data=False), fresh=fresh)

    async def newest(self) -> bytes | None:
        """See `TreeReader.newest`."""
        try:
            return await self._records.read_record(self._database.record(_NEWEST))
        except ModuleNotFound:
            return None

    async def keep_newest(self, note: bytes) -> None:
        """See `TreeReader.keep_newest`."""
        await self._records.write_record(self._database.record(_NEWEST), note)
