"""The ledger in the store: written in batches, read back to learn what other replicas noted there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from itertools import islice
from typing import Final

from athens_proxy.errors import ModuleNotFound, StorageError
from athens_proxy.retention import ledger_record
from athens_proxy.retention.ledger import Ledger, Row
from athens_proxy.retention.ledger_record import UnreadableLedger, decoded, encoded
from athens_proxy.storage.storage import Storage

_ROWS_AT_ONCE: Final = 500
_LOG = logging.getLogger(__name__)


class LedgerExchange:
    """Exchanges one ledger with those of the other replicas.

    Args:
        storage: keeps the record.
        ledger: of that store.
        every_bytes: after how many stored bytes it is due; 0 for never.
    """

    def __init__(self, storage: Storage, ledger: Ledger, *, every_bytes: int) -> None:
        self._storage = storage
        self._ledger = ledger
        self._every_bytes = every_bytes
        self._written = b""
        self._exchanged_bytes = 0
        self._turn = asyncio.Lock()

    @property
    def is_due(self) -> bool:
        """Whether so much was stored here since the last time that the others should know."""
        return 0 < self._every_bytes <= self._ledger.stored_bytes - self._exchanged_bytes

    async def exchange_if_due(self) -> None:
        """Do it if it is due; a store that fails is asked again when it is due the next time."""
        if not self.is_due:
            return
        try:
            await self.exchange()
        except StorageError as error:
            self._exchanged_bytes = self._ledger.stored_bytes
            _LOG.warning("%s; other replicas learn later what was stored here", error)

    async def exchange(self) -> None:
        """Take over what other replicas noted, and write down what this one knows.

        Raises:
            StorageError: the store fails.
        """
        async with self._turn:
            try:
                record = await self._storage.read_record(ledger_record.RECORD)
            except ModuleNotFound:
                record = b""
            if record and record != self._written:
                await self._merge(record)
            self._ledger.settle()
            self._exchanged_bytes = self._ledger.stored_bytes
            if self._ledger.is_changed:
                await self._write()

    async def _write(self) -> None:
        self._ledger.is_changed = False
        rows, now_s = self._ledger.rows(), self._ledger.now_s
        try:
            self._written = await asyncio.to_thread(encoded, rows, now_s=now_s)
            await self._storage.write_record(ledger_record.RECORD, self._written)
        except BaseException:
            self._ledger.is_changed = True
            raise

    async def _merge(self, record: bytes) -> None:
        try:
            now_s, rows = await asyncio.to_thread(decoded, record)
        except UnreadableLedger as error:
            _LOG.warning("%s; it is made anew from what is stored", error)
            self._ledger.is_changed = True
            return
        self._ledger.catch_up(now_s)
        is_disordered = False
        while part := await asyncio.to_thread(_part, rows):
            is_disordered = self._ledger.merge(part) or is_disordered
        if is_disordered:
            self._ledger.reorder()


def _part(rows: Iterator[Row]) -> list[Row]:
    """Some rows at a time, so that nobody waits for the rest."""
    return list(islice(rows, _ROWS_AT_ONCE))
