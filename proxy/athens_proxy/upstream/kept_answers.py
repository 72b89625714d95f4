"""Answers of a checksum database in the store; nobody waits until the disk has them.

A client that has nothing yet asks for hundreds of answers within seconds, and so does its proxy. What they need then
is the processor, so the answers are written when the rush is over.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final, Protocol

from athens_proxy.errors import StorageError

DRAIN_S: Final = 5.0
RUSH_FROM: Final = 8
REST_S: Final = 1.0
AT_LATEST_S: Final = 10.0
AT_MOST_BYTES: Final = 16 * 1024 * 1024
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
        rush_from: so many unwritten ones are written at once; more are a rush.
        rest_s: seconds without a new answer that end a rush.
        at_latest_s: seconds after which they are written although the rush goes on.
        at_most_bytes: how much may wait for the end of a rush; beyond it the writing begins.
    """

    def __init__(
        self,
        records: Records,
        *,
        rush_from: int = RUSH_FROM,
        rest_s: float = REST_S,
        at_latest_s: float = AT_LATEST_S,
        at_most_bytes: int = AT_MOST_BYTES,
    ) -> None:
        self._records = records
        self._rush_from = rush_from
        self._rest_s = rest_s
        self._at_latest_s = at_latest_s
        self._at_most_bytes = at_most_bytes
        self._unwritten: dict[str, bytes] = {}
        self._unwritten_bytes = 0
        self._handed_over_s = 0.0
        self._must_write = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    async def read(self, name: str) -> bytes:
        """A record; raises as `Storage.read_record`."""
        unwritten = self._unwritten.get(name)
        return await self._records.read_record(name) if unwritten is None else unwritten

    def keep(self, name: str, data: bytes) -> None:
        """Write a record without anybody waiting; one that is lost is asked for again."""
        self._unwritten_bytes += len(data) - len(self._unwritten.get(name, b""))
        self._unwritten[name] = data
        self._handed_over_s = asyncio.get_running_loop().time()
        if self._unwritten_bytes > self._at_most_bytes:
            self._must_write.set()
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all(), name="kept-answers")

    async def aclose(self) -> None:
        """Write what is unwritten, for at most `DRAIN_S` seconds."""
        self._must_write.set()
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=DRAIN_S)
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    async def _write_all(self) -> None:
        while self._unwritten:
            if len(self._unwritten) > self._rush_from:
                await self._rush_is_over()
            for name, data in list(self._unwritten.items()):
                await self._write(name, data)  # one by one, as hundreds would keep the threads for files from fetches
        self._must_write.clear()

    async def _rush_is_over(self) -> None:
        clock = asyncio.get_running_loop().time
        latest_s = clock() + self._at_latest_s
        while not self._must_write.is_set():
            until_s = min(self._handed_over_s + self._rest_s, latest_s)
            if clock() >= until_s:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until_s):
                    await self._must_write.wait()

    async def _write(self, name: str, data: bytes) -> None:
        try:
            await self._records.write_record(name, data)
        except StorageError as error:
            _LOG.warning("checksum database answer not kept: %s", error)
        finally:
            if self._unwritten.get(name) is data:
                del self._unwritten[name]
                self._unwritten_bytes -= len(data)
