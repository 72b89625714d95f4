"""No feed, and a feed that is lost at the end of the process."""

from __future__ import annotations

import bisect
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from athens_proxy.index.index import IndexLine
from athens_proxy.modules import ModuleVersion


class NoIndex:
    """An `Index` of type none: takes everything, keeps nothing."""

    async def record(self, wanted: ModuleVersion) -> bool:
        """Forget it."""
        return False

    async def lines(self, *, since: datetime | None, limit: int) -> list[IndexLine]:
        """Always empty."""
        return []

    async def close(self) -> None:
        """Nothing is open."""


class MemoryIndex:
    """An `Index` in this process.

    Args:
        now: the time in UTC.
    """

    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._lines: list[IndexLine] = []
        self._known: set[tuple[str, str]] = set()

    async def record(self, wanted: ModuleVersion) -> bool:
        """Append it unless it is known; see `Index.record`."""
        entry = (wanted.path.text, wanted.version)
        if entry in self._known:
            return False
        self._known.add(entry)
        timestamp = self._now()
        if self._lines:
            timestamp = max(timestamp, self._lines[-1].timestamp + timedelta(microseconds=1))
        self._lines.append(IndexLine(*entry, timestamp))
        return True

    async def lines(self, *, since: datetime | None, limit: int) -> list[IndexLine]:
        """See `Index.lines`."""
        first = 0 if since is None else bisect.bisect_left(self._lines, since, key=lambda line: line.timestamp)
        return self._lines[first : first + limit]

    async def close(self) -> None:
        """Nothing is open."""
