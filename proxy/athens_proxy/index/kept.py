"""Lines that wait for an index that is down: in memory, and as one record of the store so that a restart loses none.

Replicas share the record. Each adds its own waiting lines and takes out what it has written; whoever overwrites the
other's addition is corrected by the other's next attempt. What a killed process loses even so, `reindex` finds.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from typing import Final, Protocol

from athens_proxy.errors import InvalidPath, InvalidVersion, ModuleNotFound, StorageError
from athens_proxy.modules import ModulePath, ModuleVersion

RECORD: Final = "index/waiting"
MOST_KEPT: Final = 50_000
_LOG = logging.getLogger(__name__)


class Records(Protocol):
    """The store's own records, as `Storage` has them."""

    async def read_record(self, name: str) -> bytes:
        """One record; raises `ModuleNotFound` and `StorageError`."""

    async def write_record(self, name: str, data: bytes) -> None:
        """Replace it atomically; raises `StorageError`."""


class KeptLines:
    """The record of waiting lines."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def read(self) -> list[ModuleVersion]:
        """What waits there, oldest first; unreadable lines are left out."""
        try:
            text = await self._records.read_record(RECORD)
        except ModuleNotFound:
            return []
        except StorageError as error:
            _LOG.warning("lines that wait for the index cannot be read: %s", error)
            return []
        return [wanted for line in text.splitlines() if (wanted := _parsed(line))]

    async def change(self, *, add: Collection[ModuleVersion], remove: Collection[ModuleVersion]) -> None:
        """Add lines behind those that are there, and remove some; a store that refuses costs durability only."""
        present = await self.read()
        wanted = [line for line in dict.fromkeys([*present, *add]) if line in add or line not in remove]
        if wanted == present:
            return
        lines = (json.dumps([line.path.text, line.version]) for line in wanted[:MOST_KEPT])
        try:
            await self._records.write_record(RECORD, "".join(f"{line}\n" for line in lines).encode())
        except StorageError as error:
            _LOG.warning("lines that wait for the index cannot be kept: %s", error)


def _parsed(line: bytes) -> ModuleVersion | None:
    try:
        path, version = json.loads(line)
        return ModuleVersion.parse(ModulePath.parse(path), version)
    except (ValueError, TypeError, InvalidPath, InvalidVersion):
        return None
