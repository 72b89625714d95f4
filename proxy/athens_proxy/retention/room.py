"""Makes room in a bounded store, before a save rather than after it, so that the bound holds at every moment.

A save announces how much it brings. What is too much then goes first: the zips that were used least lately, never one
that is being read, that somebody fetched a moment ago and has not read yet, or that must stay. While only such zips are
in the way the save waits for them. A zip goes only when its `h1:` sum is on record, so that it comes back as it was.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from athens_proxy.checksums.dirhash import mod_hash1
from athens_proxy.errors import InvalidModuleZip, ModuleNotFound, NotSupported, StorageError, StorageFull
from athens_proxy.modules import ModuleVersion
from athens_proxy.retention.ledger import RECORD_BYTES, Ledger
from athens_proxy.retention.plan import Eviction, Limits, Plan, Reason, Standing, evictions
from athens_proxy.storage import layout
from athens_proxy.storage.scratch import AUDIT
from athens_proxy.storage.storage import Storage
from athens_proxy.storage.stored_version import copy_zip, sums_on_record
from athens_proxy.storage.sums import Sums

UNREAD_S: Final = 5.0
WAIT_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.1
_AT_ONCE: Final = 8
_LOG = logging.getLogger(__name__)
OnEviction = Callable[[Eviction[ModuleVersion]], None]


class Room:
    """The room that is left in a store.

    Args:
        storage: loses zips.
        ledger: knows what it holds.
        limits: its bounds.
        may_go: whether the zip of a version may ever go.
        sums: to note the sum of a zip that has none on record, as those that Athens stored.
        on_eviction: told of each zip that went.
        scratch: a folder for the copy of such a zip.
        wait_s: how long a save waits for zips that are busy.
        before_save: awaited before room is made, to learn what others stored.
    """

    def __init__(
        self,
        storage: Storage,
        ledger: Ledger,
        limits: Limits,
        *,
        may_go: Callable[[ModuleVersion], bool],
        sums: Sums,
        on_eviction: OnEviction,
        scratch: Path,
        wait_s: float = WAIT_S,
        before_save: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._storage = storage
        self._ledger = ledger
        self._limits = limits
        self._may_go = may_go
        self._sums = sums
        self._on_eviction = on_eviction
        self._scratch = scratch
        self._wait_s = wait_s
        self._before_save = before_save
        self._readers: Counter[ModuleVersion] = Counter()
        self._unread: dict[ModuleVersion, float] = {}
        self._saving: Counter[ModuleVersion] = Counter()
        self._coming_bytes = 0
        self._turn = asyncio.Lock()

    def reading(self, wanted: ModuleVersion) -> None:
        """A zip is being read from now on."""
        self._readers[wanted] += 1
        self._unread.pop(wanted, None)

    def read(self, wanted: ModuleVersion) -> None:
        """A reader has left a zip."""
        self._readers[wanted] -= 1
        if self._readers[wanted] <= 0:
            del self._readers[wanted]

    @asynccontextmanager
    async def kept_for(self, wanted: ModuleVersion, *, zip_bytes: int, small_bytes: int) -> AsyncIterator[None]:
        """Room for a save, from before it begins until the ledger has it.

        Raises:
            StorageFull: there is none, and none can be made.
        """
        need_bytes = zip_bytes + small_bytes + RECORD_BYTES
        self._refuse_what_never_fits(wanted, need_bytes)
        async with self._turn:
            if self._before_save is not None:
                await self._before_save()
            await self._make(wanted, need_bytes)
            self._coming_bytes += need_bytes
            self._saving[wanted] += 1
        try:
            yield
            self._unread[wanted] = self._ledger.now_s
        finally:
            self._coming_bytes -= need_bytes
            self._saving[wanted] -= 1
            if not self._saving[wanted]:
                del self._saving[wanted]

    async def sweep(self) -> None:
        """Let go what nobody used for long, and what is too much by the accounts of all replicas; saves go first."""
        plan = self.plan()
        for wanted in plan.kept:
            self._ledger.later(wanted)
        for begin in range(0, len(plan.evictions), _AT_ONCE):
            async with self._turn:
                part = plan.evictions[begin : begin + _AT_ONCE]
                await asyncio.gather(*(self._evicted(one) for one in part if self._is_still_due(one)))

    def plan(self, *, need_bytes: int = 0) -> Plan[ModuleVersion]:
        """What would go now if so many more bytes came."""
        return evictions(
            self._ledger.candidates(),
            excess_bytes=self._excess_bytes(need_bytes),
            idle_since_s=self._idle_since_s,
            standing=self._standing,
        )

    def _is_still_due(self, eviction: Eviction[ModuleVersion]) -> bool:
        """Whether what was planned a while ago has not been used or become unnecessary meanwhile."""
        if eviction.reason is Reason.BYTES:
            return self._excess_bytes(0) > 0
        return self._ledger.used_s(eviction.wanted) < self._idle_since_s

    @property
    def _idle_since_s(self) -> float:
        return self._ledger.now_s - self._limits.max_idle_s if self._limits.max_idle_s else float("-inf")

    def _excess_bytes(self, need_bytes: int) -> int:
        if not self._limits.max_bytes:
            return 0
        return self._ledger.size_bytes + self._coming_bytes + need_bytes - self._limits.max_bytes

    def _refuse_what_never_fits(self, wanted: ModuleVersion, need_bytes: int) -> None:
        if need_bytes > self._limits.max_bytes > 0:
            raise StorageFull(
                f"save {wanted}: its {need_bytes} bytes are more than Retention.MaxBytes, {self._limits.max_bytes},"
                " allows for the whole store; raise it"
            )

    async def _make(self, wanted: ModuleVersion, need_bytes: int) -> None:
        """Evict until so many bytes fit; waits for zips that are busy, and for saves that have room already."""
        give_up_at = asyncio.get_running_loop().time() + self._wait_s
        while self._excess_bytes(need_bytes) > 0:
            if await self._carry_out(self.plan(need_bytes=need_bytes)):
                continue
            plan = self.plan(need_bytes=need_bytes)
            can_wait = plan.busy or self._coming_bytes
            if not can_wait or asyncio.get_running_loop().time() >= give_up_at:
                raise StorageFull(
                    f"save {wanted}: {plan.missing_bytes} bytes are missing below Retention.MaxBytes,"
                    f" {self._limits.max_bytes}, and no stored zip may go: raise it, shorten Retention.Keep"
                    " or purge versions"
                )
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _carry_out(self, plan: Plan[ModuleVersion]) -> int:
        """Evict what is planned; returns how many zips went."""
        for wanted in plan.kept:
            self._ledger.later(wanted)
        gone = 0
        for begin in range(0, len(plan.evictions), _AT_ONCE):
            part = plan.evictions[begin : begin + _AT_ONCE]
            gone += sum(await asyncio.gather(*(self._evicted(eviction) for eviction in part)))
        return gone

    async def _evicted(self, eviction: Eviction[ModuleVersion]) -> bool:
        wanted = eviction.wanted
        try:
            await self._note_sum(wanted)
            if self._standing(wanted) is not Standing.FREE:  # somebody began to read it meanwhile
                return False
            await self._storage.delete_zip(wanted)
        except ModuleNotFound:  # somebody else deleted the version
            self._ledger.deleted(wanted)
            return True
        except (StorageError, NotSupported) as error:
            _LOG.warning("%s; it stays for now", error)
            self._ledger.later(wanted)
            return False
        self._ledger.evicted(wanted)
        self._on_eviction(eviction)
        _LOG.info(
            "evicted a zip", extra={"wanted": str(wanted), "bytes": eviction.zip_bytes, "reason": str(eviction.reason)}
        )
        return True

    def _standing(self, wanted: ModuleVersion) -> Standing:
        if wanted in self._readers or wanted in self._saving or self._is_unread(wanted):
            return Standing.BUSY
        return Standing.FREE if self._may_go(wanted) else Standing.KEPT

    def _is_unread(self, wanted: ModuleVersion) -> bool:
        """Whether a zip was fetched a moment ago and those who wait for it have not come to read it."""
        saved_s = self._unread.get(wanted)
        if saved_s is None:
            return False
        if self._ledger.now_s - saved_s < UNREAD_S:
            return True
        del self._unread[wanted]
        return False

    async def _note_sum(self, wanted: ModuleVersion) -> None:
        """Have the sum of a zip on record before it goes.

        Raises:
            ModuleNotFound: the version is not stored any more.
        """
        if (await sums_on_record(self._storage, wanted))[0]:
            return
        mod = await self._storage.mod(wanted)
        try:
            zip_h1 = await self._zip_h1(wanted)
        except (ModuleNotFound, InvalidModuleZip):  # it is gone or damaged: nothing of it is worth a sum
            return
        await self._storage.write_record(layout.h1_record(wanted), f"{zip_h1}\n{mod_hash1(mod)}\n".encode())

    async def _zip_h1(self, wanted: ModuleVersion) -> str:
        with tempfile.TemporaryDirectory(dir=self._scratch, prefix=AUDIT) as folder:
            copy = Path(folder) / "stored.zip"
            async with await self._storage.open_zip(wanted) as stored:
                await copy_zip(stored, copy)
            return await asyncio.to_thread(self._sums.of_zip, copy, wanted)
