"""Indexes on running database servers, with Athens' parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from athens_proxy.index.mysql import mysql_index
from athens_proxy.index.postgres import postgres_index
from athens_proxy.index.settings import DatabaseAddress
from athens_proxy.index.sql import SqlIndex
from support.sql_servers import DATABASE, PASSWORD, USER, SqlServer

SQL_KINDS = ("postgres", "mysql")
_PARAMS = {
    "postgres": {"connect_timeout": "30", "sslmode": "disable"},
    "mysql": {"parseTime": "true", "timeout": "30s"},
}


def sql_index(
    server: SqlServer,
    *,
    password: str = PASSWORD,
    database: str = DATABASE,
    params: Mapping[str, str] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> SqlIndex:
    """The index in a database of the server; nothing is connected yet."""
    open_index = {"postgres": postgres_index, "mysql": mysql_index}[server.kind]
    used = _PARAMS[server.kind] if params is None else params
    return open_index(DatabaseAddress("127.0.0.1", server.port, USER, password, database, used), now=now)


def index_env(server: SqlServer) -> dict[str, str]:
    """The settings of a proxy that keeps its index there, by Athens' names."""
    name = {"postgres": "POSTGRES", "mysql": "MYSQL"}[server.kind]
    return {
        "ATHENS_INDEX_TYPE": server.kind,
        f"ATHENS_INDEX_{name}_HOST": "127.0.0.1",
        f"ATHENS_INDEX_{name}_PORT": str(server.port),
        f"ATHENS_INDEX_{name}_USER": USER,
        f"ATHENS_INDEX_{name}_PASSWORD": PASSWORD,
        f"ATHENS_INDEX_{name}_DATABASE": DATABASE,
    }
