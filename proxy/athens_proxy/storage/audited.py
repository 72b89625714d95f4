"""A remote store whose zips are read once beside their readers, to notice what its service did not.

A bucket or a database checks what it keeps, and reading a zip twice before the first byte is sent would make every
first reader wait. So the first time that this process opens a zip, and once a day while it is read, a copy of it is
compared with its `h1:` sum in the background, one at a time and with pauses. A damaged zip counts as evicted from then
on: it is fetched again, and replaced only by bytes of the same sum. Until the comparison ends it is served as it is;
the go command compares it with its own sums meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from athens_proxy.errors import ChecksumMismatch, ModuleNotFound, ProxyError
from athens_proxy.modules import ModuleVersion
from athens_proxy.storage.forwarding import ForwardingStorage
from athens_proxy.storage.scratch import AUDIT
from athens_proxy.storage.storage import FetchedModule, Storage, StoredZip
from athens_proxy.storage.stored_version import copy_zip, sums_on_record
from athens_proxy.storage.sums import Sums
from athens_proxy.storage.zip_damage import zip_damage

AUDIT_EVERY_S: Final = 24 * 3600.0
_MAX_KNOWN: Final = 100_000
_MAX_WAITING: Final = 256
_REST: Final = 9  # times as long as a comparison took
_LOG = logging.getLogger(__name__)


class AuditedStorage(ForwardingStorage):
    """A `Storage` around another one.

    Args:
        inner: the remote store; closed with this one.
        sums: how stored files are compared with what was saved.
        scratch: a folder for the copies.
        on_damage: called when a zip was found damaged, so that nobody goes on serving it from memory.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        inner: Storage,
        *,
        sums: Sums,
        scratch: Path,
        on_damage: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(inner)
        self._on_damage = on_damage
        self._sums = sums
        self._scratch = scratch
        self._clock = clock
        self._audited_at: dict[ModuleVersion, float] = {}
        self._damaged: dict[ModuleVersion, str] = {}
        self._audits: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()

    async def open_zip(self, wanted: ModuleVersion) -> StoredZip:
        """The zip, opened; one that was found damaged counts as evicted; see `Storage.open_zip`."""
        if reason := self._damaged.get(wanted):
            raise ModuleNotFound(f"not found: the stored zip of {wanted} is damaged: {reason}")
        stored = await self._inner.open_zip(wanted)
        if self._is_due(wanted):
            self._audit_later(wanted)
        return stored

    async def save(self, fetched: FetchedModule) -> None:
        """Commit a version; a damaged one is replaced by what has its sum; see `Storage.save`."""
        if fetched.wanted in self._damaged:
            await self._make_room(fetched)
        await self._inner.save(fetched)
        self._damaged.pop(fetched.wanted, None)
        self._note(fetched.wanted)

    async def delete(self, wanted: ModuleVersion) -> None:
        """Remove a version; see `Storage.delete`."""
        await self._inner.delete(wanted)
        self._damaged.pop(wanted, None)

    async def delete_zip(self, wanted: ModuleVersion) -> None:
        """Remove a version's zip, damaged or not; see `Storage.delete_zip`."""
        await self._inner.delete_zip(wanted)
        self._damaged.pop(wanted, None)

    async def close(self) -> None:
        """End the comparisons and release the store."""
        await self.end_audits()
        await self._inner.close()

    async def end_audits(self) -> None:
        """End the comparisons, so that the store can be closed by whoever opened it."""
        for audit in self._audits:
            audit.cancel()
        await asyncio.gather(*self._audits, return_exceptions=True)

    async def audits_done(self) -> None:
        """Return once nothing is being compared."""
        await asyncio.gather(*self._audits)

    def _is_due(self, wanted: ModuleVersion) -> bool:
        last = self._audited_at.get(wanted)
        return (last is None or self._clock() - last >= AUDIT_EVERY_S) and len(self._audits) < _MAX_WAITING

    def _note(self, wanted: ModuleVersion) -> None:
        if len(self._audited_at) >= _MAX_KNOWN:
            del self._audited_at[next(iter(self._audited_at))]
        self._audited_at[wanted] = self._clock()

    def _audit_later(self, wanted: ModuleVersion) -> None:
        self._note(wanted)
        audit = asyncio.create_task(self._audit(wanted), name=f"audit {wanted}")
        self._audits.add(audit)
        audit.add_done_callback(self._audits.discard)

    async def _audit(self, wanted: ModuleVersion) -> None:
        async with self._turn:
            begun = self._clock()
            try:
                reason = await self._damage(wanted)
            except (ProxyError, OSError) as error:
                if isinstance(error, ProxyError):  # with the next read; a folder that is too small will not grow
                    self._audited_at.pop(wanted, None)
                _LOG.info("the stored zip of %s could not be compared with its sum: %s", wanted, error)
                return
            if reason:
                self._damaged[wanted] = reason
                self._on_damage()
                _LOG.warning("the stored zip of %s is damaged: %s; it will be fetched again", wanted, reason)
            if len(self._audits) > 1:  # the service is there for readers first
                await asyncio.sleep(_REST * (self._clock() - begun))

    async def _damage(self, wanted: ModuleVersion) -> str:
        recorded, _ = await sums_on_record(self._inner, wanted)
        with tempfile.TemporaryDirectory(dir=self._scratch, prefix=AUDIT) as folder:
            copy = Path(folder) / "stored.zip"
            async with await self._inner.open_zip(wanted) as stored:
                await copy_zip(stored, copy)
            return await asyncio.to_thread(zip_damage, copy, wanted, recorded_h1=recorded, sums=self._sums)

    async def _make_room(self, fetched: FetchedModule) -> None:
        """Remove the damaged version, now that its own bytes are at hand again."""
        recorded, _ = await sums_on_record(self._inner, fetched.wanted)
        if recorded and recorded != fetched.zip_h1:
            raise ChecksumMismatch(
                f"{fetched.wanted}: checksum mismatch: the fetched zip has {fetched.zip_h1}, the stored one {recorded}"
                " and is damaged; the stored one is kept: delete it if the fetched one is right"
            )
        try:
            await self._inner.delete(fetched.wanted)
        except ModuleNotFound:  # another replica has replaced it already
            return
