"""The contracts towards the outside: fetch one version, list versions of one module."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from athens_proxy.modules import ModulePath, ModuleVersion, RevInfo
from athens_proxy.storage.storage import FetchedModule


@dataclass(frozen=True, slots=True)
class SmallFiles:
    """What arrives of a version long before its zip; the attributes are those of `FetchedModule`.

    Attributes:
        is_vouched: a checksum database knows these very bytes.
    """

    wanted: ModuleVersion
    info: bytes
    mod: bytes
    mod_h1: str
    is_vouched: bool = False


Show = Callable[[SmallFiles], Awaitable[None]]
"""Takes the small files of a version while its zip is on its way; never raises."""


async def show_nobody(files: SmallFiles) -> None:
    """Nobody waits for the small files alone."""


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


class ShowingFetcher(Protocol):
    """A `Fetcher` that also shows the small files early."""

    def fetch(
        self, wanted: ModuleVersion, *, upstream: str = "", show: Show = show_nobody
    ) -> AbstractAsyncContextManager[FetchedModule]:
        """As `Fetcher.fetch`; `show` is called where a source has the small files before the zip."""


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
