"""What the SQL indexes share: Athens' table, one transaction per line, foreign errors as ours.

A line gets the present time, or a microsecond after the newest line if that is later. Writers take turns for that, so
lines become visible in the order of their timestamps and a client that pages by `since` misses none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Column, Integer, MetaData, String, Table, TextClause, bindparam, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import TIMESTAMP

from athens_proxy.errors import IndexRefused, IndexUnavailable
from athens_proxy.index.index import MAX_TEXT, IndexLine
from athens_proxy.modules import ModuleVersion

TIMEOUT_S: Final = 10.0
EPOCH: Final = datetime(1970, 1, 1, 0, 0, 1)  # noqa: DTZ001 - both databases keep UTC without saying so

INDEXES: Final = Table(
    "indexes",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("path", String(MAX_TEXT)),
    Column("version", String(MAX_TEXT)),
    Column("timestamp", TIMESTAMP),
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """What differs between databases.

    Attributes:
        name: for messages, as in `postgres 10.0.0.1:5432/athens`.
        schema: Athens' statements, each harmless when its object exists.
        take_turn: keeps other writers out; its result is 1 or empty when it did.
        insert: a line with the parameters path, version and now, unless the version is there already.
        end_turn: lets other writers in after the commit; None when the commit does.
        is_refusal: whether an error will stay until the settings or the database change.
    """

    name: str
    schema: tuple[str, ...]
    take_turn: TextClause
    insert: TextClause
    end_turn: TextClause | None
    is_refusal: Callable[[BaseException], bool]


class SqlIndex:
    """An `Index` in a database.

    Args:
        engine: connects to it; closed by `close`.
        dialect: how to speak to it.
        now: the time in UTC.
    """

    def __init__(self, engine: AsyncEngine, dialect: Dialect, *, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._dialect = dialect
        self._now = now
        self._has_schema = False

    async def prepare(self) -> None:
        """Connect, and create Athens' table where it is missing.

        Raises:
            IndexRefused: asking again will not help: wrong password, no such database, no right to create the table.
            IndexUnavailable: the database does not answer.
        """
        async with self._connected() as connection, self._turn(connection):
            for statement in self._dialect.schema:
                await connection.execute(text(statement))
            await connection.commit()
        self._has_schema = True

    async def record(self, wanted: ModuleVersion) -> bool:
        """Append a line; see `Index.record`. A path or version that is too long for the table is left out."""
        if max(len(wanted.path.text), len(wanted.version)) > MAX_TEXT:
            return False
        await self._ready()
        line = {"path": wanted.path.text, "version": wanted.version, "now": _naive(self._now())}
        async with self._connected() as connection, self._turn(connection):
            inserted = await connection.execute(self._dialect.insert, line)
            await connection.commit()
            return inserted.rowcount == 1

    async def lines(self, *, since: datetime | None, limit: int) -> list[IndexLine]:
        """See `Index.lines`."""
        await self._ready()
        columns = INDEXES.c
        query = (
            select(columns.path, columns.version, columns.timestamp)
            .where(columns.timestamp >= bindparam("since", type_=TIMESTAMP))
            .order_by(columns.timestamp, columns.id)
            .limit(limit)
        )
        oldest = EPOCH if since is None else max(_naive(since), EPOCH)
        async with self._connected() as connection:
            found = (await connection.execute(query, {"since": oldest})).all()
        return [IndexLine(row.path, row.version, row.timestamp.replace(tzinfo=UTC)) for row in found]

    async def close(self) -> None:
        """Close the connections."""
        await self._engine.dispose()

    async def _ready(self) -> None:
        if not self._has_schema:
            await self.prepare()

    @asynccontextmanager
    async def _turn(self, connection: AsyncConnection) -> AsyncIterator[None]:
        """Other writers wait while the context is open."""
        got = (await connection.execute(self._dialect.take_turn)).scalar()
        if got == 0:
            raise IndexUnavailable(f"{self._dialect.name}: other writers hold the index for too long")
        try:
            yield
        finally:
            if self._dialect.end_turn is not None:
                await connection.execute(self._dialect.end_turn)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        """A connection; whatever the drivers raise becomes `IndexUnavailable` or `IndexRefused`."""
        try:
            async with asyncio.timeout(TIMEOUT_S), self._engine.connect() as connection:
                yield connection
        except TimeoutError as error:
            raise IndexUnavailable(f"{self._dialect.name} does not answer within {TIMEOUT_S:.0f} s") from error
        except IndexUnavailable:
            raise
        except Exception as error:  # drivers raise their own classes while they connect, SQLAlchemy's later
            cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
            reason = _reason(cause if isinstance(error, SQLAlchemyError) else error)
            if self._dialect.is_refusal(cause):
                raise IndexRefused(f"{self._dialect.name} refuses: {reason}") from error
            raise IndexUnavailable(f"{self._dialect.name} does not answer: {reason}") from error


def utc_now() -> datetime:
    """The present time with its zone."""
    return datetime.now(UTC)


def _naive(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)


def _reason(error: BaseException) -> str:
    has_code = len(error.args) > 1 and isinstance(error.args[0], int)  # PyMySQL's way
    text_of_error = str(error.args[1] if has_code else error)
    return " ".join(text_of_error.split())[:256] or type(error).__name__
