"""Checksum databases, relayed and kept: what a tree has once said never changes, so the store keeps it for good.

The client's credentials never reach a database: requests are made anew, by the way that `sumdb_route.py` finds.

Source: https://go.dev/ref/mod#checksum-database; design "sumdb relay"
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, assert_never

import aiohttp
from yarl import URL

from athens_policy.patterns import Pattern
from athens_proxy.checksums.lookups import with_newer_head
from athens_proxy.errors import (
    AccessDenied,
    BadUpstreamAnswer,
    ModuleNotFound,
    StorageError,
    UpstreamTimeout,
)
from athens_proxy.modules import ModuleVersion, grammar
from athens_proxy.upstream.authorize import SHOW_NOTHING, Authorize
from athens_proxy.upstream.hops import ChainLink, HttpHop
from athens_proxy.upstream.http import NO_PROXIES, HttpLimits, HttpTransport
from athens_proxy.upstream.kept_answers import KeptAnswers, Records
from athens_proxy.upstream.outbound import OutboundProxies
from athens_proxy.upstream.sumdb_requests import (
    HASH_BYTES,
    MAX_DATA_TILE_BYTES,
    MAX_LOOKUP_BYTES,
    Latest,
    Lookup,
    Supported,
    Tile,
    parse_request,
)
from athens_proxy.upstream.sumdb_route import DatabaseRoute, Relay

BUDGET_S: Final = 60.0
NEWEST: Final = "newest"  # the signed head of the largest tree that was proven

_DAY: Final = "public, max-age=86400"
_HOUR: Final = "public, max-age=3600"
_MINUTE: Final = "public, max-age=60"
_TEXT: Final = "text/plain; charset=utf-8"
_LOOKUP_START: Final = re.compile(rb"\d+\n\S+ \S+ h1:")
_TREE_START: Final = b"go.sum database tree\n"


@dataclass(frozen=True, slots=True)
class SumdbAnswer:
    """An HTTP answer of a checksum database."""

    status: int
    content_type: str
    body: bytes
    cache_control: str


class ChecksumDatabases:
    """The configured checksum databases.

    Args:
        urls: their addresses; a database's name is its host (with port and path, if any).
        session: for HTTP (`open_upstream_session`).
        records: keeps lookups and tiles.
        no_sum_patterns: modules whose names must not reach a database.
        chain: the GOPROXY chain, whose module proxies may relay databases.
        offline: answer from what is kept only.
        budget_s: seconds for one answer; a database first fetches a version that it does not know.
        outbound: forward proxies on the way to them.
        authorize: knows the credentials for the entries of the chain.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        session: aiohttp.ClientSession,
        records: Records,
        no_sum_patterns: Iterable[Pattern] = (),
        chain: Iterable[ChainLink] = (),
        offline: bool = False,
        budget_s: float = BUDGET_S,
        outbound: OutboundProxies = NO_PROXIES,
        authorize: Authorize = SHOW_NOTHING,
    ) -> None:
        self._no_sum = tuple(no_sum_patterns)
        limits = HttpLimits(idle_s=budget_s, small_file_s=budget_s)
        relays = [
            Relay(HttpTransport(session, link.hop, limits, outbound=outbound, authorize=authorize), link.on_any_error)
            for link in chain
            if isinstance(link.hop, HttpHop)
        ]
        self._databases = {
            name: ChecksumDatabase(
                name,
                DatabaseRoute(name, relays=relays, own=HttpTransport(session, HttpHop(url), limits, outbound=outbound)),
                records=records,
                offline=offline,
                budget_s=budget_s,
            )
            for name, url in ((_name_of(url), URL(url)) for url in urls)
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The configured databases by name."""
        return tuple(self._databases)

    async def handle(self, name_and_rest: str) -> SumdbAnswer:
        """The answer to `/sumdb/<name_and_rest>`, percent signs already decoded.

        Raises:
            ModuleNotFound: unknown database, no such path, or nothing kept while offline.
            AccessDenied: a lookup of a module that must not be looked up.
            UpstreamError, UpstreamThrottled, UpstreamTimeout: the database cannot be asked.
        """
        name = next((name for name in self._databases if name_and_rest.startswith(name + "/")), None)
        if name is None:
            raise ModuleNotFound(f"not found: {grammar.quoted(name_and_rest)}: no such checksum database is configured")
        request = parse_request(name_and_rest[len(name) + 1 :])
        database = self._databases[name]
        match request:
            case Supported():
                return SumdbAnswer(200, _TEXT, b"", _DAY)
            case Latest():
                return SumdbAnswer(200, _TEXT, await database.latest(), _HOUR)
            case Lookup():
                self._refuse_private(request.wanted)
                return SumdbAnswer(200, _TEXT, await database.lookup(request), _DAY)
            case Tile():
                age = _DAY if request.is_full else _MINUTE
                return SumdbAnswer(200, "application/octet-stream", await database.tile(request), age)
            case _:
                assert_never(request)

    def database(self, name: str) -> ChecksumDatabase | None:
        """The database of that name, if it is configured."""
        return self._databases.get(name)

    async def aclose(self) -> None:
        """Cancel what is being asked and wait until it is gone."""
        for database in self._databases.values():
            await database.aclose()

    def _refuse_private(self, wanted: ModuleVersion) -> None:
        for pattern in self._no_sum:
            if pattern.matches(wanted.path.text) or pattern.matches(str(wanted)):
                why = f"{pattern.text} is private (NoSumPatterns, GOPRIVATE)"
                raise AccessDenied(f"{wanted}: not looked up, because {why}; set GONOSUMDB for it")


class ChecksumDatabase:
    """One database with its kept answers.

    Attributes:
        name: what it is called below `/sumdb/`.
    """

    def __init__(
        self,
        name: str,
        route: DatabaseRoute,
        *,
        records: Records,
        offline: bool,
        budget_s: float,
    ) -> None:
        self.name = name
        self._route = route
        self._kept_answers = KeptAnswers(records)
        self._offline = offline
        self._budget_s = budget_s
        self._flights: dict[str, asyncio.Task[bytes]] = {}

    async def latest(self) -> bytes:
        """The newest signed tree; the last one seen while offline."""
        if self._offline:
            return await self._kept("latest")
        return await self._asked("latest", MAX_LOOKUP_BYTES, lambda body: body.startswith(_TREE_START))

    async def lookup(self, request: Lookup, *, fresh: bool = False) -> bytes:
        """A record; from the store once it was asked for, unless a fresh one is wanted.

        While offline it comes with the newest tree that is kept: what proves one tree by another may not be.
        """

        def is_sound(body: bytes) -> bool:
            return bool(_LOOKUP_START.match(body))

        body = await self._kept_or_asked(request.path, MAX_LOOKUP_BYTES, is_sound, fresh=fresh)
        if self._offline:
            with suppress(ModuleNotFound, StorageError):
                return with_newer_head(body, await self._kept(NEWEST))
        return body

    async def tile(self, request: Tile, *, fresh: bool = False) -> bytes:
        """A tile; a partial one is as unchanging as a full one, only soon out of use."""
        size_bytes = MAX_DATA_TILE_BYTES if request.is_data else HASH_BYTES * request.width

        def is_sound(body: bytes) -> bool:
            return request.is_data or len(body) == HASH_BYTES * request.width

        return await self._kept_or_asked(request.path, size_bytes, is_sound, fresh=fresh)

    async def aclose(self) -> None:
        """Cancel what is in flight, finish what is being written."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        await self._kept_answers.aclose()

    async def _kept_or_asked(
        self, path: str, at_most_bytes: int, is_sound: Callable[[bytes], bool], *, fresh: bool
    ) -> bytes:
        if self._offline or not fresh:
            try:
                return await self._kept(path)
            except (ModuleNotFound, StorageError):
                if self._offline:
                    raise
        return await self._asked(path, at_most_bytes, is_sound)

    async def _kept(self, path: str) -> bytes:
        try:
            return await self._kept_answers.read(self.record(path))
        except ModuleNotFound as error:
            raise ModuleNotFound(f"not found: {path} of {self.name} is not kept here") from error

    async def _asked(self, path: str, at_most_bytes: int, is_sound: Callable[[bytes], bool]) -> bytes:
        flight = self._flights.get(path)
        if flight is None:
            flight = asyncio.create_task(self._ask_and_keep(path, at_most_bytes, is_sound))
            self._flights[path] = flight
            flight.add_done_callback(lambda done: self._landed(path, done))
        return await asyncio.shield(flight)

    def _landed(self, path: str, flight: asyncio.Task[bytes]) -> None:
        del self._flights[path]
        if not flight.cancelled():
            flight.exception()  # everybody who waited has it; nobody may have waited

    async def _ask_and_keep(self, path: str, at_most_bytes: int, is_sound: Callable[[bytes], bool]) -> bytes:
        try:
            async with asyncio.timeout(self._budget_s):
                body = await self._route.read(path, at_most_bytes)
        except TimeoutError as error:
            raise UpstreamTimeout(f"asking {self.name} for {path}: no answer within {self._budget_s:g} s") from error
        if not is_sound(body):
            raise BadUpstreamAnswer(f"asking {self.name} for {path}: the answer is none of a checksum database")
        self._kept_answers.keep(self.record(path), body)
        return body

    def record(self, path: str) -> str:
        """The name of the record that keeps an answer."""
        return f"sumdb/{self.name}/{path}"


def _name_of(url: str) -> str:
    parsed = URL(url)
    return (parsed.raw_authority.rpartition("@")[2] + parsed.path).rstrip("/")
