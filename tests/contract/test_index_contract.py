"""What every index promises (`index/index.py`), on memory and on real PostgreSQL and MariaDB servers.

Source of the cases: github.com/gomods/athens pkg/index/compliance, and unique growing timestamps.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest

from athens_proxy.errors import IndexRefused, IndexUnavailable
from athens_proxy.index.index import MAX_TEXT, Index
from athens_proxy.index.memory import MemoryIndex, NoIndex
from athens_proxy.index.mysql import mysql_index
from athens_proxy.index.postgres import postgres_index
from athens_proxy.index.settings import DatabaseAddress, InvalidParameter
from athens_proxy.modules import ModulePath, ModuleVersion
from support.index_databases import SQL_KINDS, sql_index
from support.sql_servers import DATABASE, PASSWORD, SqlServer, server

KINDS = ("memory", *SQL_KINDS)
Databases = Callable[[str], SqlServer]


def version(number: int, path: str = "example.com/m") -> ModuleVersion:
    return ModuleVersion(ModulePath.parse(path), f"v1.{number}.0")


@pytest.fixture(scope="module")
def databases() -> Iterator[Databases]:
    """One server per kind for the whole file."""
    running: dict[str, SqlServer] = {}
    with ExitStack() as stack:

        def database(kind: str) -> SqlServer:
            if kind not in running:
                running[kind] = stack.enter_context(server(kind))
            return running[kind]

        yield database


@pytest.fixture(params=KINDS)
async def index(request: pytest.FixtureRequest, databases: Databases) -> AsyncIterator[Index]:
    """An empty index of each kind."""
    if request.param == "memory":
        yield MemoryIndex()
        return
    database = databases(request.param)
    database.run("DROP TABLE IF EXISTS indexes")
    index = sql_index(database)
    yield index
    await index.close()


@pytest.fixture(params=SQL_KINDS)
def database(request: pytest.FixtureRequest, databases: Databases) -> SqlServer:
    """A server of each kind whose database has no table."""
    database = databases(request.param)
    database.run("DROP TABLE IF EXISTS indexes")
    return database


async def recorded(index: Index, count: int) -> list[ModuleVersion]:
    versions = [version(number) for number in range(count)]
    for wanted in versions:
        await index.record(wanted)
    return versions


async def test_an_empty_index_has_no_lines(index: Index) -> None:
    assert await index.lines(since=None, limit=2000) == []
    assert await index.lines(since=datetime.now(UTC), limit=1) == []


async def test_lines_come_in_the_order_in_which_they_were_recorded(index: Index) -> None:
    versions = await recorded(index, 10)

    lines = await index.lines(since=None, limit=2000)

    assert [(line.path, line.version) for line in lines] == [(one.path.text, one.version) for one in versions]
    assert abs(lines[-1].timestamp - datetime.now(UTC)) < timedelta(minutes=1)


async def test_limit_takes_the_oldest_lines(index: Index) -> None:
    await recorded(index, 10)

    assert [line.version for line in await index.lines(since=None, limit=5)] == [f"v1.{n}.0" for n in range(5)]
    assert await index.lines(since=None, limit=0) == []


async def test_since_includes_its_own_instant_and_leaves_out_what_is_older(index: Index) -> None:
    await recorded(index, 10)
    lines = await index.lines(since=None, limit=2000)

    assert await index.lines(since=lines[4].timestamp, limit=2000) == lines[4:]
    assert await index.lines(since=lines[-1].timestamp + timedelta(microseconds=1), limit=2000) == []
    assert await index.lines(since=datetime(1900, 1, 1, tzinfo=UTC), limit=2000) == lines


async def test_since_may_be_of_any_time_zone(index: Index) -> None:
    await recorded(index, 3)
    lines = await index.lines(since=None, limit=2000)
    elsewhere = lines[1].timestamp.astimezone(datetime.strptime("+0530", "%z").tzinfo)

    assert await index.lines(since=elsewhere, limit=2000) == lines[1:]


async def test_a_version_has_one_line_for_ever(index: Index) -> None:
    assert await index.record(version(1))
    before = await index.lines(since=None, limit=2000)
    await index.record(version(2))

    assert not await index.record(version(1))

    assert (await index.lines(since=None, limit=2000))[:1] == before
    assert len(await index.lines(since=None, limit=2000)) == 2


async def test_timestamps_are_unique_and_grow_however_many_write_at_once(index: Index) -> None:
    await asyncio.gather(*(index.record(version(number)) for number in range(100)))

    timestamps = [line.timestamp for line in await index.lines(since=None, limit=2000)]

    assert len(set(timestamps)) == 100
    assert timestamps == sorted(timestamps)


async def test_paging_by_the_last_timestamp_loses_nothing_while_others_write(index: Index) -> None:
    async def write() -> None:
        for number in range(60):
            await index.record(version(number))
            await asyncio.sleep(0)

    writing = asyncio.create_task(write())
    seen: dict[str, None] = {}
    since: datetime | None = None
    while not writing.done() or len(seen) < 60:
        page = await index.lines(since=since, limit=7)
        seen.update(dict.fromkeys(line.version for line in page))
        since = page[-1].timestamp if page else since
        await asyncio.sleep(0)
    await writing

    assert list(seen) == [f"v1.{number}.0" for number in range(60)]


async def test_a_clock_that_goes_back_does_not_reorder_lines(database: SqlServer) -> None:
    index = sql_index(database)
    await index.record(version(1))
    behind = sql_index(database, now=lambda: datetime(2020, 1, 1, tzinfo=UTC))
    await behind.record(version(2))

    assert [line.version for line in await index.lines(since=None, limit=9)] == ["v1.1.0", "v1.2.0"]
    await index.close()
    await behind.close()


async def test_two_replicas_write_one_feed(database: SqlServer) -> None:
    """Both create the table at the same time and both meet the other's lines."""
    first, second = sql_index(database), sql_index(database)
    await asyncio.gather(first.prepare(), second.prepare())
    await asyncio.gather(*(replica.record(version(n)) for n in range(40) for replica in (first, second)))

    lines = await first.lines(since=None, limit=2000)

    assert sorted(line.version for line in lines) == sorted(f"v1.{n}.0" for n in range(40))
    assert len({line.timestamp for line in lines}) == 40
    await first.close()
    await second.close()


async def test_the_table_is_athens_own(database: SqlServer) -> None:
    index = sql_index(database)
    await index.prepare()
    columns = database.run(
        "SELECT column_name, data_type, character_maximum_length, is_nullable FROM information_schema.columns"
        " WHERE table_name = 'indexes' ORDER BY ordinal_position"
    )
    kind = {"postgres": "integer|timestamp without time zone", "mysql": "int|timestamp"}[database.kind].split("|")

    fields = [tuple(line.replace("|", "\t").split("\t")) for line in columns.splitlines()]

    assert [field[:2] for field in fields] == [
        ("id", kind[0]),
        ("path", "character varying" if database.kind == "postgres" else "varchar"),
        ("version", "character varying" if database.kind == "postgres" else "varchar"),
        ("timestamp", kind[1]),
    ]
    assert fields[1][2:] == fields[2][2:] == ("255", "NO")
    await index.close()


async def test_lines_that_athens_wrote_are_read_in_order(database: SqlServer) -> None:
    """Athens gives no order and no unique time; ties come in the order of their ids."""
    index = sql_index(database)
    await index.prepare()
    for name in ("b", "a", "c"):
        database.run(f"INSERT INTO indexes (path, version, timestamp) VALUES ('x/{name}', 'v1', '2020-01-02 03:04:05')")

    assert [line.path for line in await index.lines(since=None, limit=9)] == ["x/b", "x/a", "x/c"]
    await index.close()


async def test_what_the_table_cannot_hold_is_left_out(database: SqlServer) -> None:
    index = sql_index(database)

    assert not await index.record(version(1, f"example.com/{'x' * MAX_TEXT}"))

    assert await index.lines(since=None, limit=9) == []
    await index.close()


@pytest.mark.parametrize("kind", SQL_KINDS)
@pytest.mark.parametrize(
    ("change", "reason"),
    [({"password": "wrong"}, "authentication failed|Access denied"), ({"database": "none"}, "none")],
)
async def test_wrong_settings_are_refusals_that_show_no_password(
    databases: Databases, kind: str, change: dict[str, str], reason: str
) -> None:
    index = sql_index(
        databases(kind), password=change.get("password", PASSWORD), database=change.get("database", DATABASE)
    )

    with pytest.raises(IndexRefused, match=reason) as refused:
        await index.prepare()

    assert "127.0.0.1" in str(refused.value)
    assert "wrong" not in str(refused.value)
    await index.close()


@pytest.mark.parametrize("kind", SQL_KINDS)
async def test_a_server_that_goes_away_is_unavailable_and_may_come_back(kind: str) -> None:
    with server(kind) as database:
        index = sql_index(database)
        await index.record(version(1))
        with database.stopped():
            with pytest.raises(IndexUnavailable, match="does not answer"):
                await index.record(version(2))
            with pytest.raises(IndexUnavailable, match="does not answer"):
                await index.lines(since=None, limit=9)

        await index.record(version(2))

        assert [line.version for line in await index.lines(since=None, limit=9)] == ["v1.1.0", "v1.2.0"]
        await index.close()


@pytest.mark.parametrize(
    ("kind", "params", "name"),
    [
        ("postgres", {"sslmode": "maybe"}, "sslmode"),
        ("postgres", {"connect_timeout": "soon"}, "connect_timeout"),
        ("postgres", {"sslmode": "verify-full", "sslrootcert": "/nowhere.pem"}, "sslrootcert"),
        ("mysql", {"tls": "maybe"}, "tls"),
        ("mysql", {"timeout": "0"}, "timeout"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(kind: str, params: dict[str, str], name: str) -> None:
    opening = {"postgres": postgres_index, "mysql": mysql_index}[kind]

    with pytest.raises(InvalidParameter, match=f"^{name}"):
        opening(DatabaseAddress("db.example.com", 1, "athens", "", "athens", params))


async def test_the_index_of_type_none_takes_everything_and_keeps_nothing() -> None:
    index = NoIndex()

    assert not await index.record(version(1))
    assert await index.lines(since=None, limit=9) == []
