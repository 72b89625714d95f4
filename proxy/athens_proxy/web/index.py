"""The parameters of `/index`, read as Athens does, and its lines."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from athens_proxy.index.index import IndexLine
from athens_proxy.web.parameters import InvalidParameter, integer

DEFAULT_LIMIT: Final = 2000
MAX_LIMIT: Final = 2000  # as index.golang.org: a client asks again with the last timestamp
_RFC3339: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class IndexQuery:
    """At most `limit` entries, from the instant `since` on (None: from the beginning)."""

    limit: int
    since: datetime | None

    @classmethod
    def parse(cls, values: Mapping[str, str]) -> IndexQuery:
        """The query of a request's parameters.

        Raises:
            InvalidParameter: `limit` is no integer above 0, or `since` no RFC 3339 time.
        """
        limit = integer(values, "limit", default=DEFAULT_LIMIT)
        if limit <= 0:
            raise InvalidParameter("limit must be an integer above 0")
        since = values.get("since", "")
        return cls(limit, _instant(since) if since else None)


def index_body(lines: Sequence[IndexLine]) -> bytes:
    """The lines as Go's encoder writes them: RFC 3339 times in UTC without trailing zeros."""
    return "".join(
        json.dumps(
            {"Path": line.path, "Version": line.version, "Timestamp": _shown(line.timestamp)}, separators=(",", ":")
        )
        + "\n"
        for line in lines
    ).encode()


def _shown(instant: datetime) -> str:
    fraction = f".{instant.microsecond:06}".rstrip("0").rstrip(".")
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _instant(text: str) -> datetime:
    found = _RFC3339.fullmatch(text)
    try:
        if found:
            return datetime.fromisoformat(f"{found[1]}{(found[2] or '')[:7]}{found[3]}")
    except ValueError:
        pass  # such as a 31st of June
    raise InvalidParameter("since must be an RFC 3339 time such as 2026-01-02T15:04:05Z")
