"""Answers of a checksum database in the store; nobody waits until the disk has them."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Protocol

from athens_proxy.errors import StorageError

DRAIN_S: Final = 5.0
_LOG = logging.getLogger(__name__)


class Records(Protocol):
    """Where answers are kept; every `Storage` is one."""

    async def read_record(self, name: str) -> bytes:
        """See `Storage.read_record`."""

    async def write_record(self, name: str, data: bytes) -> None:
        """See `Storage.write_record`."""


class KeptAnswers:
    """Records that can be read from the moment on that they are handed over.

    Args:
        records: where they are written to.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        self._unwritten: dict[str, bytes] = {}
        self._writes: set[asyncio.Task[None]] = set()
        self._one_by_one = asyncio.Lock()

    async def read(self, name: str) -> bytes:
        """A record; raises as `Storage.read_record`."""
        unwritten = self._unwritten.get(name)
        return await self._records.read_record(name) if unwritten is None else unwritten

    def keep(self, name: str, data: bytes) -> None:
        """Write a record without anybody waiting; one that is lost is asked for again."""
        self._unwritten[name] = data
        writing = asyncio.create_task(self._write(name, data))
        self._writes.add(writing)
        writing.add_done_callback(self._writes.discard)

    async def aclose(self) -> None:
        """Finish what is being written, for at most `DRAIN_S` seconds."""
        if self._writes:
            _, late = await asyncio.wait(self._writes, timeout=DRAIN_S)
            for writing in late:
                writing.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _write(self, name: str, data: bytes) -> None:
        try:
            async with self._one_by_one:  # hundreds at once would keep the threads for files from fetches
                await self._records.write_record(name, data)
        except StorageError as error:
            _LOG.warning("checksum database answer not kept: %s", error)
        finally:
            if self._unwritten.get(name) is data:
                del self._unwritten[name]
