"""A store that stays within its bounds: the ledger learns of every save and every read of a zip."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from athens_proxy.errors import ModuleNotFound
from athens_proxy.modules import ModuleVersion
from athens_proxy.retention.ledger import Ledger
from athens_proxy.retention.room import Room
from athens_proxy.storage.forwarding import ForwardingStorage
from athens_proxy.storage.storage import FetchedModule, Storage, StoredSizes, StoredZip


class RetainedStorage(ForwardingStorage):
    """A `Storage` around another one.

    Only zips are watched: `.info` and `.mod` are never evicted. What is answered from memory (`web/hot_path.py`) the
    ledger learns in batches.

    Args:
        inner: the store.
        ledger: of that store.
        room: made before a save; None when nothing is evicted.
    """

    def __init__(self, inner: Storage, ledger: Ledger, room: Room | None) -> None:
        super().__init__(inner)
        self._ledger = ledger
        self._room = room

    async def open_zip(self, wanted: ModuleVersion) -> StoredZip:
        """The zip, opened, which counts as a use; see `Storage.open_zip`."""
        if self._room is None:
            return await self._noted(wanted)
        self._room.reading(wanted)
        try:
            stored = await self._noted(wanted)
        except BaseException:
            self._room.read(wanted)
            raise
        if hasattr(stored, "descriptor"):  # an open file or bytes in memory outlive their version
            self._room.read(wanted)
            return stored
        return _ReadZip(stored, lambda: self._left(wanted))

    async def save(self, fetched: FetchedModule) -> None:
        """Commit a version once there is room for it; see `Storage.save`.

        Raises:
            StorageFull: there is no room, and none can be made.
        """
        small_bytes = len(fetched.info) + len(fetched.mod)
        sizes = StoredSizes(fetched.zip_size_bytes, small_bytes)
        if self._room is None:
            await self._inner.save(fetched)
            self._ledger.stored(fetched.wanted, sizes)
            return
        async with self._room.kept_for(fetched.wanted, zip_bytes=fetched.zip_size_bytes, small_bytes=small_bytes):
            await self._inner.save(fetched)
            self._ledger.stored(fetched.wanted, sizes)

    async def delete(self, wanted: ModuleVersion) -> None:
        """Remove a version; see `Storage.delete`."""
        await self._inner.delete(wanted)
        self._ledger.deleted(wanted)

    async def delete_zip(self, wanted: ModuleVersion) -> None:
        """Remove a version's zip; see `Storage.delete_zip`."""
        await self._inner.delete_zip(wanted)
        self._ledger.evicted(wanted)

    async def _noted(self, wanted: ModuleVersion) -> StoredZip:
        try:
            stored = await self._inner.open_zip(wanted)
        except ModuleNotFound:
            self._ledger.evicted(wanted)  # by another replica, or by hand
            raise
        if self._ledger.zip_bytes(wanted) is None and not self._ledger.is_full:
            small_bytes = len(await self._inner.info(wanted)) + len(await self._inner.mod(wanted))
            self._ledger.stored(wanted, StoredSizes(stored.size_bytes, small_bytes))
        self._ledger.used(wanted)
        return stored

    def _left(self, wanted: ModuleVersion) -> None:
        if self._room is not None:
            self._room.read(wanted)


class _ReadZip:
    """An open zip that says when its reader leaves."""

    def __init__(self, stored: StoredZip, on_close: Callable[[], None]) -> None:
        self._stored = stored
        self._on_close = on_close

    @property
    def size_bytes(self) -> int:
        return self._stored.size_bytes

    def chunks(self, *, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        return self._stored.chunks(offset=offset, length=length)

    async def __aenter__(self) -> StoredZip:
        await self._stored.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            await self._stored.__aexit__(*exc)
        finally:
            self._on_close()
