"""The memory store: bounded, forgets the versions that were not read for longest, and all of them when it ends."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from athens_policy import semver
from athens_proxy.errors import ChecksumMismatch, ModuleNotFound, StorageFull
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.modules.names import canonical_version
from athens_proxy.storage import layout
from athens_proxy.storage.storage import CHUNK_BYTES, CatalogPage, FetchedModule, InvalidToken, StoredSizes

MAX_BYTES = 512 * 1024 * 1024
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Stored:
    info: bytes
    mod: bytes
    zip: bytes | None  # None once it was evicted
    zip_h1: str
    mod_h1: str

    @property
    def size_bytes(self) -> int:
        return len(self.info) + len(self.mod) + len(self.zip or b"")


class MemoryZip:
    """A zip that is held in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size_bytes(self) -> int:
        """Size of the whole zip."""
        return len(self._data)

    async def chunks(self, *, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of a range in chunks of at most `CHUNK_BYTES`."""
        end = len(self._data) if length is None else min(len(self._data), offset + length)
        for start in range(offset, end, CHUNK_BYTES):
            yield self._data[start : min(end, start + CHUNK_BYTES)]

    async def __aenter__(self) -> MemoryZip:
        """Return itself."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Nothing is open."""


class MemoryStorage:
    """A `Storage` of at most `max_bytes` of module files."""

    def __init__(self, *, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._held_bytes = 0
        self._versions: OrderedDict[ModuleVersion, _Stored] = OrderedDict()
        self._records: dict[str, bytes] = {}
        self._turn = asyncio.Lock()
        _LOG.warning(
            "memory storage: everything is lost at the end of the process",
            extra={"max_bytes": max_bytes},
        )

    async def info(self, wanted: ModuleVersion) -> bytes:
        """The `.info` file; see `Storage.info`."""
        return self._stored(wanted).info

    async def mod(self, wanted: ModuleVersion) -> bytes:
        """The `.mod` file; see `Storage.mod`."""
        return self._stored(wanted).mod

    async def open_zip(self, wanted: ModuleVersion) -> MemoryZip:
        """The zip; see `Storage.open_zip`."""
        data = self._stored(wanted).zip
        if data is None:
            raise ModuleNotFound(f"not found: the zip of {wanted} is not stored")
        return MemoryZip(data)

    async def versions(self, path: ModulePath) -> list[str]:
        """Canonical versions in semver order; see `Storage.versions`."""
        names = (wanted.version for wanted in self._versions if wanted.path == path)
        return sorted((name for name in names if canonical_version(name) == name), key=semver.sort_key)

    async def save(self, fetched: FetchedModule) -> None:
        """Keep a version, at the price of those not read for longest; see `Storage.save`.

        Raises:
            StorageFull: it is larger than the whole store.
        """
        size_bytes = len(fetched.info) + len(fetched.mod) + fetched.zip_size_bytes
        if size_bytes > self._max_bytes:
            raise StorageFull(
                f"save {fetched.wanted} in memory: {size_bytes} bytes are more than the store's {self._max_bytes}; "
                "use StorageType disk"
            )
        async with self._turn:  # zips that are read at once would be held beyond the bound
            held = self._versions.get(fetched.wanted)
            if held is not None:
                _refuse_other_bytes(fetched, held)
                if held.zip is not None:
                    return
            data = await asyncio.to_thread(fetched.zip_path.read_bytes)
            self._keep(fetched.wanted, _Stored(fetched.info, fetched.mod, data, fetched.zip_h1, fetched.mod_h1))

    async def delete(self, wanted: ModuleVersion) -> None:
        """Forget a version; see `Storage.delete`."""
        self._stored(wanted)
        self._forget(wanted)

    async def delete_zip(self, wanted: ModuleVersion) -> None:
        """Forget a version's zip; see `Storage.delete_zip`."""
        self._keep(wanted, replace(self._stored(wanted), zip=None))

    async def sizes(self, wanted: ModuleVersion) -> StoredSizes:
        """How large the files of a version are; see `Storage.sizes`."""
        stored = self._stored(wanted)
        return StoredSizes(None if stored.zip is None else len(stored.zip), len(stored.info) + len(stored.mod))

    async def catalog(self, *, token: str, limit: int) -> CatalogPage:
        """One page in the order of the disk store; see `Storage.catalog`."""
        try:
            after = layout.token_key(token)
        except ValueError as error:
            raise InvalidToken(f"token {token!r}: {error}") from error
        entries = sorted((w for w in self._versions if layout.entry_key(w) > after), key=layout.entry_key)
        page = tuple(entries[:limit])
        return CatalogPage(page, layout.token_of(page[-1]) if page and len(entries) > limit else "")

    async def read_record(self, name: str) -> bytes:
        """One of our own records; see `Storage.read_record`."""
        layout.record_parts(name)
        try:
            return self._records[name]
        except KeyError:
            raise ModuleNotFound(f"not found: record {name} is not stored") from None

    async def write_record(self, name: str, data: bytes) -> None:
        """Replace one of our own records; see `Storage.write_record`."""
        layout.record_parts(name)
        self._records[name] = data

    async def check(self) -> None:
        """Memory can always serve."""

    async def close(self) -> None:
        """Forget everything."""
        self._versions.clear()
        self._records.clear()
        self._held_bytes = 0

    def _stored(self, wanted: ModuleVersion) -> _Stored:
        try:
            self._versions.move_to_end(wanted)
        except KeyError:
            raise ModuleNotFound(f"not found: {wanted} is not stored") from None
        return self._versions[wanted]

    def _keep(self, wanted: ModuleVersion, stored: _Stored) -> None:
        self._forget(wanted)
        while self._versions and self._held_bytes + stored.size_bytes > self._max_bytes:
            self._forget(next(iter(self._versions)))
        self._versions[wanted] = stored
        self._held_bytes += stored.size_bytes

    def _forget(self, wanted: ModuleVersion) -> None:
        stored = self._versions.pop(wanted, None)
        self._held_bytes -= stored.size_bytes if stored else 0


def _refuse_other_bytes(fetched: FetchedModule, held: _Stored) -> None:
    for what, got, stored in (("zip", fetched.zip_h1, held.zip_h1), ("go.mod", fetched.mod_h1, held.mod_h1)):
        if got != stored:
            raise ChecksumMismatch(
                f"{fetched.wanted}: checksum mismatch: the fetched {what} has {got}, the stored one {stored};"
                " the stored one is kept"
            )
