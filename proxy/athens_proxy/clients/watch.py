"""The clients now: what the folder holds, looked at every few seconds, so that rotation needs no restart.

A folder or a file that cannot be read any more lets nobody in: a client who was removed must not stay because of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final

from athens_proxy.clients.folder import FoundFolder, Marks, marks, read
from athens_proxy.clients.known import Comparisons, KnownClients
from athens_proxy.clients.lines import Line
from athens_proxy.errors import CannotStart

INTERVAL_S: Final = 2.0
_LOG: Final = logging.getLogger(__name__)


class WatchedClients:
    """Whom the folder names.

    Args:
        root: AuthClientsDir.
        on_change: called after every change, before anybody is judged by it.

    Raises:
        CannotStart: there is no such folder.
    """

    def __init__(self, root: Path, *, on_change: Callable[[FoundFolder], None]) -> None:
        if not root.is_dir():
            raise CannotStart(f"{root} is not an existing folder; create it or mount the clients there")
        self._root = root
        self._on_change = on_change
        self._comparisons = Comparisons()
        self._seen: Marks | None = None
        self._found = FoundFolder()
        self._known = KnownClients((), self._comparisons)

    async def admits(self, authorization: str) -> bool:
        """Whether the header shows a credential that is valid now.

        Raises:
            Overloaded: too many headers are new at once.
        """
        return await self._known.admits(authorization)

    def describe(self) -> list[dict[str, Any]]:
        """For `/-/config`: entries with counts and problems, nothing of what they hold."""
        whole = [{"entry": "", "passwords": 0, "tokens": 0, "problems": [self._found.problem]}]
        return (whole if self._found.problem else []) + [
            {"entry": e.name, "passwords": e.passwords, "tokens": e.tokens, "problems": list(e.problems)}
            for e in self._found.entries
        ]

    async def watch(self, *, interval_s: float = INTERVAL_S) -> None:
        """Look for ever; cancel to stop."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self.look()
            except Exception:  # noqa: BLE001 - an outermost edge: a defect must not end the watch
                _LOG.exception("looking at %s failed", self._root)

    async def look(self) -> None:
        """Judge by what the folder holds now, if that changed."""
        seen = await asyncio.to_thread(marks, self._root)
        if seen == self._seen:
            return
        found = await asyncio.to_thread(read, self._root)
        self._seen = seen
        self._found = found
        self._known = KnownClients(_lines(found), self._comparisons)
        self._on_change(found)
        _tell(found)

    def close(self) -> None:
        """End the thread that compares."""
        self._comparisons.close()


def _lines(found: FoundFolder) -> Iterator[Line]:
    return chain.from_iterable(entry.lines for entry in found.entries)


def _tell(found: FoundFolder) -> None:
    for problem in found.problems:
        _LOG.error("client credentials that cannot be used let nobody in: %s", problem)
    counts = {name: sum(getattr(entry, name) for entry in found.entries) for name in ("passwords", "tokens")}
    _LOG.info("client credentials loaded", extra={"entries": len(found.entries), **counts})
    if not any(counts.values()):
        _LOG.warning("AuthClientsDir holds no usable credential: nobody named there can ask")
