"""A store around another one that changes nothing; layers that change little begin here."""

from __future__ import annotations

from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.storage.storage import CatalogPage, FetchedModule, Storage, StoredSizes, StoredZip


class ForwardingStorage:
    """A `Storage` that hands everything to an inner one.

    Args:
        inner: does the work; closed with this one.
    """

    def __init__(self, inner: Storage) -> None:
        self._inner = inner

    @property
    def inner(self) -> Storage:
        """The store behind this layer."""
        return self._inner

    async def info(self, wanted: ModuleVersion) -> bytes:
        """The `.info` file; see `Storage.info`."""
        return await self._inner.info(wanted)

    async def mod(self, wanted: ModuleVersion) -> bytes:
        """The `.mod` file; see `Storage.mod`."""
        return await self._inner.mod(wanted)

    async def open_zip(self, wanted: ModuleVersion) -> StoredZip:
        """The zip, opened; see `Storage.open_zip`."""
        return await self._inner.open_zip(wanted)

    async def versions(self, path: ModulePath) -> list[str]:
        """Canonical versions in semver order; see `Storage.versions`."""
        return await self._inner.versions(path)

    async def save(self, fetched: FetchedModule) -> None:
        """Commit a version; see `Storage.save`."""
        await self._inner.save(fetched)

    async def delete(self, wanted: ModuleVersion) -> None:
        """Remove a version; see `Storage.delete`."""
        await self._inner.delete(wanted)

    async def delete_zip(self, wanted: ModuleVersion) -> None:
        """Remove a version's zip; see `Storage.delete_zip`."""
        await self._inner.delete_zip(wanted)

    async def sizes(self, wanted: ModuleVersion) -> StoredSizes:
        """How large the files of a version are; see `Storage.sizes`."""
        return await self._inner.sizes(wanted)

    async def catalog(self, *, token: str, limit: int) -> CatalogPage:
        """One page of what is stored; see `Storage.catalog`."""
        return await self._inner.catalog(token=token, limit=limit)

    async def read_record(self, name: str) -> bytes:
        """One of our own records; see `Storage.read_record`."""
        return await self._inner.read_record(name)

    async def write_record(self, name: str, data: bytes) -> None:
        """Replace one of our own records; see `Storage.write_record`."""
        await self._inner.write_record(name, data)

    async def check(self) -> None:
        """Succeed when the store can serve; see `Storage.check`."""
        await self._inner.check()

    async def close(self) -> None:
        """Release the store."""
        await self._inner.close()


def innermost(storage: Storage) -> Storage:
    """The store itself, for what only stores of its kind offer."""
    while isinstance(storage, ForwardingStorage):
        storage = storage.inner
    return storage
