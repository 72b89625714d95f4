"""What several readers of a store want of one version: the sums on its record, and its zip as a file of their own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from athens_proxy.errors import ModuleNotFound
from athens_proxy.modules import ModuleVersion
from athens_proxy.storage import layout
from athens_proxy.storage.storage import StoredZip
from athens_proxy.storage.zip_damage import recorded_sums


class Records(Protocol):
    """A store's own records."""

    async def read_record(self, name: str) -> bytes:
        """One record; see `Storage.read_record`."""


async def sums_on_record(storage: Records, wanted: ModuleVersion) -> tuple[str, str]:
    """The `h1:` sums of zip and go.mod that a version was saved under, "" for what nobody noted (Athens notes none).

    Raises:
        StorageError: the store fails.
    """
    try:
        return recorded_sums(await storage.read_record(layout.h1_record(wanted)))
    except ModuleNotFound:
        return "", ""


async def copy_zip(stored: StoredZip, path: Path) -> None:
    """Write an open zip to a new file, chunk by chunk.

    Raises:
        StorageError: the store ended under the reader.
        OSError: the file cannot be written.
    """
    with path.open("xb") as file:
        async for chunk in stored.chunks():
            await asyncio.to_thread(file.write, chunk)
