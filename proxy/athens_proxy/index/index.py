"""The contract of the index: every version once, in the order in which it was first stored.

Clients page through it with `since=<last timestamp>`, so timestamps are unique and grow, in microseconds.
Source: https://index.golang.org and github.com/gomods/athens pkg/index
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from athens_proxy.modules import ModuleVersion

MAX_TEXT: Final = 255  # characters of a path or a version that Athens' tables take


@dataclass(frozen=True, slots=True)
class IndexLine:
    """One version of the feed.

    Attributes:
        path: the module path, not escaped.
        version: canonical.
        timestamp: when it was recorded, in UTC; differs from every other line's.
    """

    path: str
    version: str
    timestamp: datetime


class Index(Protocol):
    """Where the feed is kept. Every method but `close` raises `IndexUnavailable` when the backend does not answer."""

    async def record(self, wanted: ModuleVersion) -> bool:
        """Append a version; False for one that is in the feed already, which keeps its line."""

    async def lines(self, *, since: datetime | None, limit: int) -> list[IndexLine]:
        """The oldest `limit` lines that are not older than `since`, oldest first; None starts at the beginning."""

    async def close(self) -> None:
        """Release connections."""
