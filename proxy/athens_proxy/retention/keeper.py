"""Keeps a ledger true and a store within its bounds while the proxy runs.

At the start the ledger is read from the store, then the store is walked once, in the background: only versions that are
not in the ledger are looked at. The walk is repeated once a day. Every few minutes, and whenever this process has
stored a hundredth of what the store may hold, the ledgers of all replicas are exchanged; then what is idle or too much
goes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, Final

from athens_proxy.errors import ModuleNotFound, NotSupported, ProxyError, StorageError
from athens_proxy.modules import ModuleVersion
from athens_proxy.retention import ledger_record
from athens_proxy.retention.ledger import Ledger, Row
from athens_proxy.retention.ledger_record import UnreadableLedger, decoded, encoded
from athens_proxy.retention.room import Room
from athens_proxy.storage.storage import Storage, StoredSizes

EXCHANGE_EVERY_S: Final = 300.0
WALK_EVERY_S: Final = 24 * 3600.0
RETRY_S: Final = 30.0
LOOK_EVERY_S: Final = 2.0
LEAVE_S: Final = 5.0
_PAGE: Final = 1000
_AT_ONCE: Final = 8
_ROWS_AT_ONCE: Final = 500
_LOG = logging.getLogger(__name__)


class Keeper:
    """Looks after one store.

    Args:
        storage: without the layer that feeds the ledger.
        ledger: of that store.
        room: what evicts.
        exchange_bytes: after how many stored bytes the ledgers are exchanged before their time; 0 for never.
        is_dry_run: only say what would go.
        on_dry_run: told how many bytes would go.
    """

    def __init__(
        self,
        storage: Storage,
        ledger: Ledger,
        room: Room,
        *,
        exchange_bytes: int,
        is_dry_run: bool,
        on_dry_run: Callable[[int], None],
    ) -> None:
        self._storage = storage
        self._ledger = ledger
        self._room = room
        self._exchange_bytes = exchange_bytes
        self._is_dry_run = is_dry_run
        self._on_dry_run = on_dry_run
        self._written = b""
        self._exchanged_bytes = 0
        self._cannot = False
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Look after the store until cancelled; a store that fails is tried again."""
        exchanged_s = walked_s = float("-inf")
        while True:
            self._ledger.settle()
            now_s = self._ledger.now_s
            if now_s - walked_s >= WALK_EVERY_S:
                has_walked = await self._worked(self._exchange_and_walk())
                walked_s = self._ledger.now_s - (0.0 if has_walked else WALK_EVERY_S - RETRY_S)
                exchanged_s = self._ledger.now_s
                await self._worked(self._shrink())
            elif now_s - exchanged_s >= EXCHANGE_EVERY_S or self._has_stored_much():
                await self._worked(self.exchange())
                exchanged_s = self._ledger.now_s
                await self._worked(self._shrink())
            await asyncio.sleep(LOOK_EVERY_S)

    async def leave(self) -> None:
        """Write the ledger a last time, for the next start; best effort."""
        with suppress(ProxyError, TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await self.exchange()

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
            if not self._ledger.is_changed:
                return
            self._ledger.is_changed = False
            rows, now_s = self._ledger.rows(), self._ledger.now_s
            try:
                self._written = await asyncio.to_thread(encoded, rows, now_s=now_s)
                await self._storage.write_record(ledger_record.RECORD, self._written)
            except BaseException:
                self._ledger.is_changed = True
                raise
            self._exchanged_bytes = self._ledger.stored_bytes

    async def walk(self) -> None:
        """Meet every stored version, and look at those that the ledger does not know.

        Raises:
            StorageError: the store fails.
            NotSupported: it has no catalogue.
        """
        self._ledger.begin_walk()
        unknown: list[ModuleVersion] = []
        async for wanted in self._stored_versions():
            if not self._ledger.met(wanted):
                unknown.append(wanted)
            if len(unknown) >= _PAGE:
                await self._look_at(unknown)
                unknown = []
        await self._look_at(unknown)
        self._ledger.end_walk()
        if self._ledger.is_full:
            _LOG.warning("the store holds more versions than its retention looks after; the others are never evicted")

    async def _exchange_and_walk(self) -> None:
        await self.exchange()
        await self.walk()
        await self.exchange()

    async def _shrink(self) -> None:
        if not self._is_dry_run:
            await self._room.sweep()
            return
        plan = self._room.plan()
        planned_bytes = sum(eviction.zip_bytes for eviction in plan.evictions)
        self._on_dry_run(planned_bytes)
        if plan.evictions:
            extra = {"zips": len(plan.evictions), "bytes": planned_bytes, "first": str(plan.evictions[0].wanted)}
            _LOG.info("retention would evict, but only tries (Retention.DryRun)", extra=extra)

    def _has_stored_much(self) -> bool:
        return 0 < self._exchange_bytes <= self._ledger.stored_bytes - self._exchanged_bytes

    async def _worked(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether a piece of work succeeded; a failure is said once, until something works again."""
        try:
            await work
        except ProxyError as error:
            if not self._cannot:
                _LOG.warning("%s; what the store holds is counted and bounded once that works", error)
            self._cannot = True
            return isinstance(error, NotSupported)
        except Exception:  # noqa: BLE001 - an outermost edge: a defect must not end the upkeep
            _LOG.exception("retention failed")
            return False
        self._cannot = False
        return True

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

    async def _stored_versions(self) -> AsyncIterator[ModuleVersion]:
        token = ""
        while True:
            page = await self._storage.catalog(token=token, limit=_PAGE)
            for entry in page.entries:
                yield entry
            token = page.next_token
            if not token:
                return

    async def _look_at(self, unknown: list[ModuleVersion]) -> None:
        for begin in range(0, len(unknown), _AT_ONCE):
            part = unknown[begin : begin + _AT_ONCE]
            sizes = await asyncio.gather(*(self._sizes(wanted) for wanted in part))
            for wanted, found in zip(part, sizes, strict=True):
                if found is not None and not self._ledger.knows(wanted):
                    self._ledger.stored(wanted, found)

    async def _sizes(self, wanted: ModuleVersion) -> StoredSizes | None:
        try:
            return await self._storage.sizes(wanted)
        except ModuleNotFound:
            return None
        except StorageError as error:
            _LOG.warning("%s; it is not counted until the next walk", error)
            return None


def _part(rows: Iterator[Row]) -> list[Row]:
    return list(islice(rows, _ROWS_AT_ONCE))
