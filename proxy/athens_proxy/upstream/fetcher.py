"""The contracts towards the outside: fetch one version, list versions of one module."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from athens_proxy.modules import ModulePath, ModuleVersion, RevInfo
from athens_proxy.storage.storage import FetchedModule


class Fetcher(Protocol):
    """Gets one module version from where the upstream chain says."""

    def fetch(self, wanted: ModuleVersion, *, upstream: str = "") -> AbstractAsyncContextManager[FetchedModule]:
        """A complete version whose zip passed the module zip rules; its temporary files vanish when the context ends.

        Args:
            wanted: a canonical version, or a query (branch, tag, commit) that the upstream resolves.
            upstream: a GOPROXY chain that replaces the configured one, "" for the configured one.

        Raises:
            ModuleNotFound: no source has it.
            UpstreamDenied, UpstreamError, UpstreamThrottled, UpstreamTimeout: see `errors.py`.
        """


class VersionLister(Protocol):
    """Asks upstream which versions of a module exist."""

    async def versions(self, path: ModulePath, *, upstream: str = "") -> list[str]:
        """Canonical versions, retracted ones included, pseudo-versions left out, in semver order.

        Raises:
            ModuleNotFound: the path is no module there.
            UpstreamDenied, UpstreamError, UpstreamThrottled, UpstreamTimeout: see `errors.py`.
        """

    async def latest(self, path: ModulePath, *, upstream: str = "") -> RevInfo:
        """What `@latest` means upstream; raises as `versions`."""

    async def resolve(self, wanted: ModuleVersion, *, upstream: str = "") -> RevInfo:
        """The canonical version that a query means; raises as `versions`."""
