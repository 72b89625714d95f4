"""Where an index database is, and its connection parameters in the notation of Go's drivers; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?", re.ASCII)


class InvalidParameter(ValueError):
    """A connection parameter cannot be used; the message begins with its name."""


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """A database and who we are there.

    Attributes:
        host: name or address; for protocol unix the path of the socket.
        port: of the server.
        user: our name.
        password: "" for none.
        database: its name.
        params: Athens' `Params`.
        protocol: tcp or unix.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    params: Mapping[str, str]
    protocol: str = "tcp"

    def __str__(self) -> str:
        where = self.host if self.protocol == "unix" else f"{self.host}:{self.port}"
        return f"{where}/{self.database}"


def seconds(name: str, value: str) -> float:
    """A plain number of seconds, or a Go duration such as `30s` or `1m30s`.

    Raises:
        InvalidParameter: it is neither, or zero.
    """
    parts = _DURATION.fullmatch(value)
    if value.isascii() and value.isdigit():
        total = float(value)
    elif parts and value:
        hours, minutes, secs, millis = (float(part or 0) for part in parts.groups())
        total = hours * 3600 + minutes * 60 + secs + millis / 1000
    else:
        total = 0.0
    if total <= 0:
        raise InvalidParameter(f'{name}: "{value}" is no duration; use 30s')
    return total
