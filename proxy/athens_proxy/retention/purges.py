"""Purged versions kept out: known from the store and from a file within seconds, deleted here, never saved again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final, Protocol

from athens_proxy.errors import AccessDenied, ModuleNotFound, ProxyError, StorageError
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.retention import tombstones
from athens_proxy.retention.tombstones import BadPurgeList, Tombstone
from athens_proxy.storage.forwarding import ForwardingStorage
from athens_proxy.storage.storage import FetchedModule, Storage, StoredZip

LOOK_EVERY_S: Final = 1.0
_RECORD_EVERY: Final = 2  # looks; the store is asked less often than the file
_TRIES: Final = 5
_LOG = logging.getLogger(__name__)
Publish = Callable[[str, str, str, str], None]


class Records(Protocol):
    """The store's own records, as `Storage` has them."""

    async def read_record(self, name: str) -> bytes:
        """One record; raises `ModuleNotFound` and `StorageError`."""

    async def write_record(self, name: str, data: bytes) -> None:
        """Replace one record; raises `StorageError`."""


class Purges:
    """What is purged, as this process knows it.

    Args:
        storage: of the modules and of the record.
        file: the list that people keep, None for none.
        on_change: called when a version was purged or allowed again, so that nobody goes on serving it from memory.
        publish: tells others of a purge: kind, module, version, reason.
        on_count: told how many versions are purged.
        on_reload: told whether the file could be read, after each attempt.
    """

    def __init__(
        self,
        storage: Storage,
        file: Path | None,
        *,
        on_change: Callable[[], None],
        publish: Publish,
        on_count: Callable[[int], None],
        on_reload: Callable[[bool], None],
    ) -> None:
        self._storage = storage
        self._file = file
        self._on_change = on_change
        self._publish = publish
        self._on_count = on_count
        self._on_reload = on_reload
        self._record = b""
        self._recorded: Mapping[ModuleVersion, Tombstone] = {}
        self._file_data: bytes | None = None
        self._listed: Mapping[ModuleVersion, Tombstone] = {}
        self._known: Mapping[ModuleVersion, Tombstone] = {}
        self._undone: set[ModuleVersion] = set()
        self._cannot_look = False
        self._cannot_read = False

    def require_allowed(self, wanted: ModuleVersion) -> None:
        """Return if a version may be served and stored.

        Raises:
            AccessDenied: it was purged.
        """
        tombstone = self._known.get(wanted) if self._known else None
        if tombstone is not None:
            raise AccessDenied(tombstone.text)

    def of_module(self, path: ModulePath) -> frozenset[str]:
        """The purged versions of a module."""
        return frozenset(wanted.version for wanted in self._known if wanted.path == path)

    async def run(self) -> None:
        """Look for ever; cancel to stop."""
        for look in count(1):
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.look(at_store=look % _RECORD_EVERY == 0)
            except Exception:  # noqa: BLE001 - an outermost edge: a defect must not end the watch
                _LOG.exception("looking for purged versions failed")

    async def look(self, *, at_store: bool = True) -> None:
        """Learn what is purged now, and delete what newly is; a source that fails leaves what was known of it."""
        if at_store:
            await self._look_at_record()
        await self._look_at_file()
        known = {**self._recorded, **self._listed}
        new = [tombstone for wanted, tombstone in known.items() if wanted not in self._known]
        if known.keys() != self._known.keys():
            self._known = known
            self._on_count(len(known))
            self._on_change()
        self._undone = {*self._undone, *(tombstone.wanted for tombstone in new)} & known.keys()
        for wanted in list(self._undone):
            await self._carry_out(known[wanted])

    async def _look_at_record(self) -> None:
        try:
            record = await self._storage.read_record(tombstones.RECORD)
        except ModuleNotFound:
            record = b""
        except StorageError as error:
            if not self._cannot_look:
                _LOG.warning("%s; what was purged elsewhere is known once that works", error)
            self._cannot_look = True
            return
        self._cannot_look = False
        if record == self._record:
            return
        self._record = record
        try:
            self._recorded = tombstones.from_record(record)
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            _LOG.error("the store's record of purged versions cannot be read, the last one counts: %s", error)

    async def _look_at_file(self) -> None:
        if self._file is None:
            return
        try:
            data = await asyncio.to_thread(_read, self._file)
        except OSError as error:
            if not self._cannot_read:
                _LOG.error("%s cannot be read, the last list counts: %s", self._file, error.strerror)
                self._on_reload(False)
            self._cannot_read = True
            return
        self._cannot_read = False
        if data == self._file_data:
            return
        self._file_data = data
        try:
            self._listed = tombstones.from_file(data, by=str(self._file))
        except BadPurgeList as error:
            _LOG.error("%s is refused, the last good list counts: %s", self._file, error)
            self._on_reload(False)
            return
        self._on_reload(True)

    async def _carry_out(self, tombstone: Tombstone) -> None:
        """Delete a purged version, and tell others unless somebody has."""
        wanted = tombstone.wanted
        try:
            is_first = wanted in self._recorded and await announced(self._storage, wanted)
            try:
                await self._storage.delete(wanted)
                is_first = is_first or wanted in self._listed
            except ModuleNotFound:
                pass
        except ProxyError as error:
            _LOG.warning("%s; a purged version is not served, and deleted once that works", error)
            return
        self._undone.discard(wanted)
        extra = {"wanted": str(wanted), "by": tombstone.by, "at": tombstone.at, "reason": tombstone.reason}
        _LOG.warning("purged a version", extra=extra)
        if is_first:
            self._publish("purged", wanted.path.text, wanted.version, tombstone.reason or f"by {tombstone.by}")


class PurgedStorage(ForwardingStorage):
    """A `Storage` that takes no version which was purged, also when its fetch began before that, and shows none.

    Others may put one into the store past this proxy: an import, or a proxy that does not know of the purge yet.
    """

    def __init__(self, inner: Storage, purges: Purges) -> None:
        super().__init__(inner)
        self._purges = purges

    async def info(self, wanted: ModuleVersion) -> bytes:
        """The `.info` file of a version that was not purged; see `Storage.info`."""
        self._hide(wanted)
        return await self._inner.info(wanted)

    async def mod(self, wanted: ModuleVersion) -> bytes:
        """The `.mod` file of a version that was not purged; see `Storage.mod`."""
        self._hide(wanted)
        return await self._inner.mod(wanted)

    async def open_zip(self, wanted: ModuleVersion) -> StoredZip:
        """The zip of a version that was not purged; see `Storage.open_zip`."""
        self._hide(wanted)
        return await self._inner.open_zip(wanted)

    async def save(self, fetched: FetchedModule) -> None:
        """Commit a version that may be served; see `Storage.save`.

        Raises:
            AccessDenied: it was purged.
        """
        self._purges.require_allowed(fetched.wanted)
        await self._inner.save(fetched)

    def _hide(self, wanted: ModuleVersion) -> None:
        try:
            self._purges.require_allowed(wanted)
        except AccessDenied as denied:
            raise ModuleNotFound(f"not found: {denied}") from denied


async def bury(records: Records, buried: Mapping[ModuleVersion, Tombstone]) -> None:
    """Add tombstones to the store's record.

    Raises:
        StorageError: the store fails, or others overwrite the record again and again.
    """
    await _changed(records, {wanted: tombstone for wanted, tombstone in buried.items()})


async def allow(records: Records, wanted: ModuleVersion) -> bool:
    """Take a tombstone out of the store's record; False if there was none; raises as `bury`."""
    present = await buried_in(records)
    if wanted not in present:
        return False
    await _changed(records, {wanted: None})
    return True


async def announced(records: Records, wanted: ModuleVersion) -> bool:
    """Note that others are told of a purge; False if that was noted before, or it is undone; raises as `bury`.

    Two proxies that note it in the same moment both tell it.
    """
    buried = await buried_in(records)
    if wanted not in buried:
        return False
    try:
        noted = set((await records.read_record(tombstones.ANNOUNCED)).decode("utf-8", "replace").splitlines())
    except ModuleNotFound:
        noted = set()
    own = tombstones.announcement(buried[wanted])
    if own in noted:
        return False
    lasting = noted & {tombstones.announcement(tombstone) for tombstone in buried.values()}
    await records.write_record(tombstones.ANNOUNCED, "\n".join(sorted({*lasting, own})).encode())
    return True


async def buried_in(records: Records) -> dict[ModuleVersion, Tombstone]:
    """The tombstones of the store's record.

    Raises:
        StorageError: the store fails, or the record is none of ours.
    """
    try:
        record = await records.read_record(tombstones.RECORD)
    except ModuleNotFound:
        return {}
    try:
        return tombstones.from_record(record)
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise StorageError(
            f"the store's record of purged versions, .athens/{tombstones.RECORD}, cannot be read: {error}; repair or"
            " delete it"
        ) from error


def stamp() -> str:
    """Now, as tombstones say it."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


async def _changed(records: Records, changes: Mapping[ModuleVersion, Tombstone | None]) -> None:
    """Write the record with these changes; another writer may overwrite it in that moment, so it is read back."""
    for _ in range(_TRIES):
        present: dict[ModuleVersion, Tombstone | None] = {**await buried_in(records), **changes}
        await records.write_record(tombstones.RECORD, tombstones.to_record(filter(None, present.values())))
        written = await buried_in(records)
        if all(written.get(wanted) == tombstone for wanted, tombstone in changes.items()):
            return
    raise StorageError("the store's record of purged versions is being changed by others; run the command again")


def _read(path: Path) -> bytes:
    """The bytes of the list, at most one more than it may have; none of a file that does not exist."""
    try:
        with path.open("rb") as file:
            return file.read(tombstones.MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return b""
