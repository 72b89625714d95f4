"""When this proxy first saw a version: the clock of `minAge`; kept with the store, one small record per module.

A publisher's own dates can be forged, so a version is as old as our knowledge of it.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from athens_proxy.errors import ModuleNotFound
from athens_proxy.modules import ModulePath
from athens_proxy.storage.storage import Storage

MAX_MODULES: Final = 10_000


class FirstSeen:
    """First-seen times by version.

    Args:
        storage: where the records are kept.
        now: the current time in UTC.
    """

    def __init__(self, storage: Storage, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._storage = storage
        self._now = now
        self._known: OrderedDict[ModulePath, Mapping[str, datetime]] = OrderedDict()
        self._writing = asyncio.Lock()

    async def of(self, path: ModulePath, versions: Iterable[str]) -> Mapping[str, datetime]:
        """When each version was first seen; those that are new are seen now, and stay so after a restart."""
        wanted = set(versions)
        seen = self._known.get(path)
        if seen is None or not wanted <= seen.keys():
            async with self._writing:
                seen = await self._recorded(path, wanted)
        return seen

    async def _recorded(self, path: ModulePath, versions: set[str]) -> Mapping[str, datetime]:
        seen = dict(self._known.get(path) or await self._read(path))
        new = versions - seen.keys()
        if new:
            seen.update(dict.fromkeys(new, self._now()))
            record = {version: at.isoformat() for version, at in sorted(seen.items())}
            await self._storage.write_record(record_name(path), json.dumps(record).encode())
        self._known[path] = seen
        while len(self._known) > MAX_MODULES:
            self._known.popitem(last=False)
        return seen

    async def _read(self, path: ModulePath) -> dict[str, datetime]:
        try:
            record = json.loads(await self._storage.read_record(record_name(path)))
            return {version: datetime.fromisoformat(at) for version, at in record.items()}
        except (ModuleNotFound, ValueError, AttributeError, TypeError):
            return {}  # never seen, or a damaged record: then every version counts as seen now, the strict reading


def record_name(path: ModulePath) -> str:
    """The record of a module: its versions with their times in UTC, in one notation."""
    return f"first-seen/{path.escaped}/@.json"
