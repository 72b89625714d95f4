"""The index in PostgreSQL, with Athens' table and parameters.

Source: github.com/gomods/athens pkg/index/postgres; https://www.postgresql.org/docs/current/libpq-connect.html
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import create_async_engine

from athens_proxy.index.settings import DatabaseAddress, InvalidParameter, seconds
from athens_proxy.index.sql import Dialect, SqlIndex, utc_now

_SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS indexes(
        id SERIAL PRIMARY KEY,
        path VARCHAR(255) NOT NULL,
        version VARCHAR(255) NOT NULL,
        timestamp TIMESTAMP NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS idx_timestamp ON indexes (timestamp)",
    "CREATE UNIQUE INDEX IF NOT EXISTS idx_module_version ON indexes (path, version)",
)
_TAKE_TURN: Final = text("SELECT pg_advisory_xact_lock(hashtext('athens indexes'))::text")
_INSERT: Final = text(
    """INSERT INTO indexes (path, version, timestamp)
    SELECT CAST(:path AS VARCHAR), CAST(:version AS VARCHAR),
        GREATEST(CAST(:now AS TIMESTAMP), (SELECT MAX(timestamp) FROM indexes) + INTERVAL '1 microsecond')
    ON CONFLICT (path, version) DO NOTHING"""
)
# Classes 28 (authorization), 3D (no such database) and 42 (no privilege, another table of that name).
_REFUSALS: Final = ("28", "3D", "42")
_OF_THE_CONNECTION: Final = frozenset({"sslmode", "sslrootcert", "sslcert", "sslkey", "connect_timeout"})
_SSL_MODES: Final = frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"})
_POOL: Final = {"pool_size": 4, "max_overflow": 4, "pool_pre_ping": True, "pool_recycle": 1800}


def postgres_index(address: DatabaseAddress, *, now: Callable[[], datetime] = utc_now) -> SqlIndex:
    """The index in a database; nothing is connected yet.

    Args:
        address: of the database.
        now: the time in UTC.

    Raises:
        InvalidParameter: a connection parameter cannot be used.
    """
    url = URL.create(
        "postgresql+asyncpg",
        username=address.user,
        password=address.password or None,
        host=address.host,
        port=address.port,
        database=address.database,
    )
    engine = create_async_engine(url, connect_args=_connect_arguments(address.params), hide_parameters=True, **_POOL)
    dialect = Dialect(
        name=f"postgres {address}",
        schema=_SCHEMA,
        take_turn=_TAKE_TURN,
        insert=_INSERT,
        end_turn=None,
        is_refusal=_is_refusal,
    )
    return SqlIndex(engine, dialect, now=now)


def _connect_arguments(params: Mapping[str, str]) -> dict[str, Any]:
    """Athens' `Params` as asyncpg takes them; what is no connection parameter goes to the server."""
    return {
        "timeout": seconds("connect_timeout", params.get("connect_timeout", "30")),
        "ssl": _ssl(params),
        "server_settings": {name: value for name, value in params.items() if name not in _OF_THE_CONNECTION},
    }


def _ssl(params: Mapping[str, str]) -> ssl.SSLContext | str:
    mode = params.get("sslmode", "require")
    if mode not in _SSL_MODES:
        raise InvalidParameter(f'sslmode: "{mode}" is not allowed; use one of {", ".join(sorted(_SSL_MODES))}')
    if mode in ("disable", "allow", "prefer") or (mode == "require" and "sslrootcert" not in params):
        return mode
    try:
        context = ssl.create_default_context(cafile=params.get("sslrootcert"))
        context.check_hostname = mode == "verify-full"
        if "sslcert" in params:
            context.load_cert_chain(params["sslcert"], params.get("sslkey"))
    except OSError as error:
        raise InvalidParameter(f"sslrootcert, sslcert, sslkey: {error.strerror or error}") from error
    return context


def _is_refusal(error: BaseException) -> bool:
    state = getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None) or ""
    return str(state).startswith(_REFUSALS)
