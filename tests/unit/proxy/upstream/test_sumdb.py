"""Checksum databases are relayed, kept for good, and never told what they must not know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from athens_policy.patterns import Pattern
from athens_proxy.errors import AccessDenied, BadUpstreamAnswer, ModuleNotFound, UpstreamError, UpstreamTimeout
from athens_proxy.upstream.hops import parse_chain
from athens_proxy.upstream.http import open_upstream_session
from athens_proxy.upstream.sumdb import ChecksumDatabases
from support import goproxy_server as server
from support.checksum_log import ChecksumLog, record
from support.goproxy_server import GoProxyServer
from support.memory_records import MemoryRecords

RECORD = b"7\nexample.com/Upper v1.0.0 h1:x=\nexample.com/Upper v1.0.0/go.mod h1:y=\n\ngo.sum database tree\n8\nz=\n\n"
LOOKUP = "lookup/example.com/!upper@v1.0.0"
TILE = bytes(32 * 256)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_upstream_session() as opened:
        yield opened


@pytest.fixture
async def database() -> AsyncIterator[GoProxyServer]:
    async with GoProxyServer().running() as running:
        running.files |= {
            LOOKUP: RECORD,
            "latest": b"go.sum database tree\n8\nz=\n\n",
            "tile/8/0/000": TILE,
            "tile/8/0/x001/234.p/5": bytes(32 * 5),
            "tile/8/data/000": b"records",
        }
        yield running


@pytest.fixture
def records() -> MemoryRecords:
    return MemoryRecords()


MakeDatabases = Callable[..., ChecksumDatabases]


@pytest.fixture
def databases(database: GoProxyServer, session: aiohttp.ClientSession, records: MemoryRecords) -> MakeDatabases:
    def make(
        *, chain: str = "", no_sum: tuple[str, ...] = (), offline: bool = False, budget_s: float = 5
    ) -> ChecksumDatabases:
        return ChecksumDatabases(
            [database.url],
            session=session,
            records=records,
            no_sum_patterns=[Pattern(text) for text in no_sum],
            chain=parse_chain(chain) if chain else (),
            offline=offline,
            budget_s=budget_s,
        )

    return make


def name_of(database: GoProxyServer) -> str:
    return database.url.removeprefix("http://")


@pytest.mark.parametrize(
    ("rest", "content_type", "cached_for"),
    [
        ("supported", "text/plain; charset=utf-8", "public, max-age=86400"),
        (LOOKUP, "text/plain; charset=utf-8", "public, max-age=86400"),
        ("latest", "text/plain; charset=utf-8", "public, max-age=3600"),
        ("tile/8/0/000", "application/octet-stream", "public, max-age=86400"),
        ("tile/8/0/x001/234.p/5", "application/octet-stream", "public, max-age=60"),
        ("tile/8/data/000", "application/octet-stream", "public, max-age=86400"),
    ],
)
async def test_each_kind_of_answer_is_relayed(
    databases: MakeDatabases, database: GoProxyServer, rest: str, content_type: str, cached_for: str
) -> None:
    answer = await databases().handle(f"{name_of(database)}/{rest}")

    assert (answer.status, answer.content_type, answer.cache_control) == (200, content_type, cached_for)
    assert answer.body == database.files.get(rest, b"")


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "x",
        "tile/8/0/1",
        "tile/0/0/000",
        "tile/9/0/000",
        "tile/8/64/000",
        "tile/8/00/000",
        "tile/8/0/000.p/256",
        "tile/8/0/000.p/0",
        "tile/8/0/000.p/01",
        "tile/8/0/x000/000",
        "tile/8/0/x001/x002/1",
        "tile/8/0/001/002",
        "tile/8/0/000/../001",
        "tile/8/0/000\n",
        "lookup/example.com/m",
        "lookup/Example.com/m@v1.0.0",
        "lookup/example.com/m@v1/../x",
        "lookup/@v1.0.0",
        "supported/",
    ],
)
async def test_a_path_that_is_not_canonical_is_not_found_without_asking(
    databases: MakeDatabases, database: GoProxyServer, rest: str
) -> None:
    with pytest.raises(ModuleNotFound):
        await databases().handle(f"{name_of(database)}/{rest}")
    assert not database.requests


@pytest.mark.parametrize("name", ["sum.example.com/supported", "", "x", "sum.example.com"])
async def test_an_unknown_database_is_not_found(databases: MakeDatabases, name: str) -> None:
    with pytest.raises(ModuleNotFound):
        await databases().handle(name)


@pytest.mark.parametrize("rest", [LOOKUP, "tile/8/0/000", "tile/8/0/x001/234.p/5"])
async def test_what_never_changes_is_asked_once_and_served_offline(
    databases: MakeDatabases, database: GoProxyServer, rest: str
) -> None:
    target = f"{name_of(database)}/{rest}"
    online = databases()
    first = await online.handle(target)
    again = await online.handle(target)
    offline = await databases(offline=True).handle(target)

    assert first == again == offline
    assert database.requests[rest] == 1


async def test_offline_asks_nobody(databases: MakeDatabases, database: GoProxyServer) -> None:
    offline = databases(offline=True)
    for rest in (LOOKUP, "tile/8/0/000", "latest"):
        with pytest.raises(ModuleNotFound, match="not kept"):
            await offline.handle(f"{name_of(database)}/{rest}")

    assert not database.requests


async def test_a_lookup_answered_offline_comes_with_the_newest_tree_that_is_kept(
    databases: MakeDatabases, database: GoProxyServer, records: MemoryRecords
) -> None:
    log = ChecksumLog([record(f"example.com/m{number}", "v1.0.0") for number in range(9)])
    await records.write_record(f"sumdb/{name_of(database)}/{LOOKUP}", log.answer(3, size=5))
    await records.write_record(f"sumdb/{name_of(database)}/newest", log.note(9))

    offline = await databases(offline=True).handle(f"{name_of(database)}/{LOOKUP}")
    online = await databases().handle(f"{name_of(database)}/{LOOKUP}")

    assert offline.body == log.answer(3, size=9)
    assert online.body == log.answer(3, size=5)


async def test_many_who_ask_at_once_cause_one_request(databases: MakeDatabases, database: GoProxyServer) -> None:
    relay = databases()
    answers = await asyncio.gather(*(relay.handle(f"{name_of(database)}/{LOOKUP}") for _ in range(20)))

    assert {answer.body for answer in answers} == {RECORD}
    assert database.requests[LOOKUP] == 1


@pytest.mark.parametrize(
    "pattern", ["example.com/Upper", "example.com/*", "example.com/Upper@v1.0.0", "example.com/Upp*", "example.com"]
)
async def test_a_private_module_is_not_looked_up(
    databases: MakeDatabases, database: GoProxyServer, pattern: str
) -> None:
    with pytest.raises(AccessDenied):
        await databases(no_sum=(pattern,)).handle(f"{name_of(database)}/{LOOKUP}")
    assert not database.requests


async def test_a_pattern_of_something_else_denies_nothing(databases: MakeDatabases, database: GoProxyServer) -> None:
    answer = await databases(no_sum=("example.com/upper", "[]a]")).handle(f"{name_of(database)}/{LOOKUP}")

    assert answer.body == RECORD


async def test_absence_upstream_is_not_kept(
    databases: MakeDatabases, database: GoProxyServer, records: MemoryRecords
) -> None:
    relay = databases()
    target = f"{name_of(database)}/lookup/example.com/new@v1.0.0"
    with pytest.raises(ModuleNotFound):
        await relay.handle(target)
    database.files["lookup/example.com/new@v1.0.0"] = RECORD

    assert (await relay.handle(target)).body == RECORD


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (server.status(500), UpstreamError),
        (server.status(503), UpstreamError),
        (server.body(b"<html>login</html>"), BadUpstreamAnswer),
        (server.body(b"short"), BadUpstreamAnswer),
        (server.truncate, BadUpstreamAnswer),
        (server.hang, UpstreamTimeout),
    ],
)
@pytest.mark.parametrize("rest", [LOOKUP, "tile/8/0/000", "latest"])
async def test_a_failing_database_is_an_upstream_failure_and_nothing_is_kept(
    databases: MakeDatabases,
    database: GoProxyServer,
    records: MemoryRecords,
    rest: str,
    fault: server.Fault,
    kind: type[Exception],
) -> None:
    database.faults["*"] = fault

    with pytest.raises(kind):
        await databases(budget_s=0.3).handle(f"{name_of(database)}/{rest}")
    assert not records.by_name


async def test_a_store_without_room_does_not_spoil_the_answer(
    databases: MakeDatabases, database: GoProxyServer, records: MemoryRecords
) -> None:
    records.full = True

    assert (await databases().handle(f"{name_of(database)}/{LOOKUP}")).body == RECORD


@pytest.fixture
async def proxy() -> AsyncIterator[GoProxyServer]:
    async with GoProxyServer().running() as running:
        yield running


async def test_a_proxy_that_relays_the_database_is_asked_instead_of_it(
    databases: MakeDatabases, database: GoProxyServer, proxy: GoProxyServer
) -> None:
    name = name_of(database)
    proxy.files |= {
        f"sumdb/{name}/supported": b"",
        f"sumdb/{name}/{LOOKUP}": RECORD,
        f"sumdb/{name}/tile/8/0/000": TILE,
    }
    relay = databases(chain=proxy.url)
    await relay.handle(f"{name}/{LOOKUP}")
    await relay.handle(f"{name}/tile/8/0/000")

    assert not database.requests
    assert proxy.requests[f"sumdb/{name}/supported"] == 1


async def test_a_proxy_that_does_not_relay_is_asked_only_once(
    databases: MakeDatabases, database: GoProxyServer, proxy: GoProxyServer
) -> None:
    relay = databases(chain=proxy.url)
    for rest in (LOOKUP, "tile/8/0/000"):
        await relay.handle(f"{name_of(database)}/{rest}")

    assert sum(proxy.requests.values()) == 1
    assert database.requests[LOOKUP] == 1


async def test_a_proxy_that_could_not_say_is_asked_again(
    databases: MakeDatabases, database: GoProxyServer, proxy: GoProxyServer
) -> None:
    name = name_of(database)
    proxy.faults["*"] = server.status(503)
    relay = databases(chain=proxy.url)
    await relay.handle(f"{name}/{LOOKUP}")
    proxy.faults.clear()
    proxy.files |= {f"sumdb/{name}/supported": b"", f"sumdb/{name}/tile/8/0/000": TILE}
    await relay.handle(f"{name}/tile/8/0/000")

    assert proxy.requests[f"sumdb/{name}/tile/8/0/000"] == 1


async def test_the_first_proxy_of_the_chain_that_relays_is_asked(
    databases: MakeDatabases, database: GoProxyServer, proxy: GoProxyServer
) -> None:
    name = name_of(database)
    proxy.files |= {f"sumdb/{name}/supported": b"", f"sumdb/{name}/{LOOKUP}": RECORD}
    async with GoProxyServer().running() as silent:
        await databases(chain=f"{silent.url},{proxy.url},direct").handle(f"{name}/{LOOKUP}")

    assert proxy.requests[f"sumdb/{name}/{LOOKUP}"] == 1
    assert silent.requests == {f"sumdb/{name}/supported": 1}
    assert not database.requests


@pytest.mark.parametrize(("joint", "asked"), [("|", "the next proxy"), (",", "the database")])
async def test_after_a_failing_proxy_the_next_is_asked_where_the_chain_says_so(
    databases: MakeDatabases, database: GoProxyServer, proxy: GoProxyServer, joint: str, asked: str
) -> None:
    name = name_of(database)
    proxy.files |= {f"sumdb/{name}/supported": b"", f"sumdb/{name}/{LOOKUP}": RECORD}
    async with GoProxyServer().running() as broken:
        broken.faults["*"] = server.status(503)
        await databases(chain=f"{broken.url}{joint}{proxy.url}").handle(f"{name}/{LOOKUP}")

    relayed = proxy.requests[f"sumdb/{name}/{LOOKUP}"]
    assert (relayed, database.requests[LOOKUP]) == ((1, 0) if asked == "the next proxy" else (0, 1))
