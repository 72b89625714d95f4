"""The index in MySQL or MariaDB, with Athens' table and parameters.

Source: github.com/gomods/athens pkg/index/mysql; https://github.com/go-sql-driver/mysql#parameters
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
        id INT AUTO_INCREMENT PRIMARY KEY COMMENT 'Unique identifier for a module line',
        path VARCHAR(255) NOT NULL COMMENT 'Import path of the module',
        version VARCHAR(255) NOT NULL COMMENT 'Module version',
        timestamp TIMESTAMP(6) COMMENT 'Date and time when the module was first created',
        INDEX (timestamp),
        UNIQUE INDEX idx_module_version (path, version)
    ) CHARACTER SET utf8""",
)
_LOCK: Final = "CONCAT('athens indexes ', LEFT(DATABASE(), 40))"  # such names have at most 64 characters
_TAKE_TURN: Final = text(f"SELECT GET_LOCK({_LOCK}, 5)")
_END_TURN: Final = text(f"SELECT RELEASE_LOCK({_LOCK})")
_INSERT: Final = text(
    """INSERT IGNORE INTO indexes (path, version, timestamp)
    SELECT :path, :version, GREATEST(:now, COALESCE(MAX(timestamp) + INTERVAL 1 MICROSECOND, :now)) FROM indexes"""
)
# access denied (to the server, to the database, to the table), no such database, no such column
_REFUSALS: Final = frozenset({1044, 1045, 1049, 1054, 1142, 1227, 1698})
# Of the Go driver itself; every other parameter is a variable of the server.
_DRIVER_WORDS: Final = """
    allowAllFiles allowCleartextPasswords allowFallbackToPlaintext allowNativePasswords allowOldPasswords charset
    checkConnLiveness clientFoundRows collation columnsWithAlias compress connectionAttributes interpolateParams loc
    maxAllowedPacket multiStatements parseTime readTimeout rejectReadOnly serverPubKey timeTruncate timeout tls
    writeTimeout"""
_OF_THE_DRIVER: Final = frozenset(_DRIVER_WORDS.split())
_POOL: Final = {"pool_size": 4, "max_overflow": 4, "pool_pre_ping": True, "pool_recycle": 1800}
_TLS: Final = frozenset({"true", "false", "skip-verify", "preferred"})


def mysql_index(address: DatabaseAddress, *, now: Callable[[], datetime] = utc_now) -> SqlIndex:
    """The index in a database; nothing is connected yet.

    Args:
        address: of the database.
        now: the time in UTC.

    Raises:
        InvalidParameter: a connection parameter cannot be used.
    """
    is_socket = address.protocol == "unix"
    url = URL.create(
        "mysql+aiomysql",
        username=address.user,
        password=address.password or None,
        host=None if is_socket else address.host,
        port=None if is_socket else address.port,
        database=address.database,
        query={"unix_socket": address.host} if is_socket else {},
    )
    engine = create_async_engine(url, connect_args=_connect_arguments(address.params), hide_parameters=True, **_POOL)
    dialect = Dialect(
        name=f"mysql {address}",
        schema=_SCHEMA,
        take_turn=_TAKE_TURN,
        insert=_INSERT,
        end_turn=_END_TURN,
        is_refusal=lambda error: bool(error.args) and error.args[0] in _REFUSALS,
    )
    return SqlIndex(engine, dialect, now=now)


def _connect_arguments(params: Mapping[str, str]) -> dict[str, Any]:
    """Athens' `Params` as aiomysql takes them; times are always UTC, whatever `time_zone` says."""
    variables = {name: value for name, value in params.items() if name not in _OF_THE_DRIVER}
    settings = ", ".join(f"{name} = {value}" for name, value in {**variables, "time_zone": "'+00:00'"}.items())
    arguments: dict[str, Any] = {
        "connect_timeout": seconds("timeout", params.get("timeout", "30s")),
        "init_command": f"SET {settings}",
        "charset": "utf8mb4",
    }
    tls = params.get("tls", "false").lower()
    if tls not in _TLS:
        raise InvalidParameter(f'tls: "{tls}" is not allowed; use one of {", ".join(sorted(_TLS))}')
    if tls in ("true", "skip-verify"):
        context = ssl.create_default_context()
        if tls == "skip-verify":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        arguments["ssl"] = context
    return arguments
