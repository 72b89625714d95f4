"""Purged versions kept from clients: they are listed nowhere and answered by nothing, whatever the policy says."""

from __future__ import annotations

from typing import Protocol

from athens_proxy.download.listing import newest
from athens_proxy.download.protocol import DownloadProtocol
from athens_proxy.errors import AccessDenied, ProxyError
from athens_proxy.modules import ModulePath, ModuleVersion, RevInfo
from athens_proxy.storage.storage import StoredZip


class Purged(Protocol):
    """Knows what was purged."""

    def require_allowed(self, wanted: ModuleVersion) -> None:
        """Return if a version may be served; raises `AccessDenied` if it was purged."""

    def of_module(self, path: ModulePath) -> frozenset[str]:
        """The purged versions of a module."""


class Unpurged:
    """A `DownloadProtocol` without purged versions.

    Args:
        inner: answers everything else.
        purged: knows them.
    """

    def __init__(self, inner: DownloadProtocol, purged: Purged) -> None:
        self._inner = inner
        self._purged = purged

    async def versions(self, path: ModulePath) -> list[str]:
        """The versions that were not purged."""
        versions = await self._inner.versions(path)
        purged = self._purged.of_module(path)
        return [version for version in versions if version not in purged] if purged else versions

    async def latest(self, path: ModulePath) -> RevInfo:
        """The latest version, or the newest of the list if that one was purged.

        Raises:
            AccessDenied: no other version is known.
        """
        latest = await self._inner.latest(path)
        try:
            self._purged.require_allowed(ModuleVersion.parse(path, latest.version))
        except AccessDenied as denied:
            try:
                version = newest(await self.versions(path))
            except ProxyError:
                version = ""
            if not version:
                raise denied from None
            return RevInfo.parse(await self._inner.info(ModuleVersion(path, version)))
        return latest

    async def resolve(self, wanted: ModuleVersion) -> ModuleVersion:
        """The canonical version that a query means; that it may be served is asked with its files."""
        return await self._inner.resolve(wanted)

    async def info(self, wanted: ModuleVersion) -> bytes:
        """The `.info` of a version that was not purged."""
        self._purged.require_allowed(wanted)
        return await self._inner.info(wanted)

    async def mod(self, wanted: ModuleVersion) -> bytes:
        """The `.mod` of a version that was not purged."""
        self._purged.require_allowed(wanted)
        return await self._inner.mod(wanted)

    async def zip(self, wanted: ModuleVersion) -> StoredZip:
        """The zip of a version that was not purged."""
        self._purged.require_allowed(wanted)
        return await self._inner.zip(wanted)
