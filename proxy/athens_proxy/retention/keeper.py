"""Keeps a ledger true and a store within its bounds while the proxy runs.

At the start the ledger is read from the store, then the store is walked once, in the background: only versions that are
not in the ledger are looked at. The walk is repeated once a day. Every few minutes, and whenever this process has
stored a hundredth of what the store may hold, the ledgers of all replicas are exchanged; then what is idle or too much
goes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from athens_proxy.errors import ModuleNotFound, NotSupported, ProxyError, StorageError
from athens_proxy.modules import ModuleVersion
from athens_proxy.retention.exchange import LedgerExchange
from athens_proxy.retention.ledger import Ledger
from athens_proxy.retention.room import Room
from athens_proxy.storage.storage import Storage, StoredSizes

EXCHANGE_EVERY_S: Final = 300.0
WALK_EVERY_S: Final = 24 * 3600.0
RETRY_S: Final = 30.0
LOOK_EVERY_S: Final = 2.0
LEAVE_S: Final = 5.0
_PAGE: Final = 1000
_AT_ONCE: Final = 8
_LOG = logging.getLogger(__name__)


class Keeper:
    """Looks after one store.

    Args:
        storage: without the layer that feeds the ledger.
        ledger: of that store.
        room: what evicts.
        exchange: of that ledger.
        is_dry_run: only say what would go.
        on_dry_run: told how many bytes would go.
    """

    def __init__(
        self,
        storage: Storage,
        ledger: Ledger,
        room: Room,
        *,
        exchange: LedgerExchange,
        is_dry_run: bool,
        on_dry_run: Callable[[int], None],
    ) -> None:
        self._storage = storage
        self._ledger = ledger
        self._room = room
        self._exchange = exchange
        self._is_dry_run = is_dry_run
        self._on_dry_run = on_dry_run
        self._cannot = False

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
            elif now_s - exchanged_s >= EXCHANGE_EVERY_S or self._exchange.is_due:
                await self._worked(self._exchange.exchange())
                exchanged_s = self._ledger.now_s
                await self._worked(self._shrink())
            await asyncio.sleep(LOOK_EVERY_S)

    async def leave(self) -> None:
        """Write the ledger a last time, for the next start; best effort."""
        with suppress(ProxyError, TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await self._exchange.exchange()

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
        await self._exchange.exchange()
        await self.walk()
        await self._exchange.exchange()

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
