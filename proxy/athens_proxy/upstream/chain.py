"""The upstream chain: asks hop after hop, as the go command walks its GOPROXY list.

A private module is only ever asked for at its origin: its name leaves for no proxy, whatever chain a rule gives.

Source: cmd/go/internal/modfetch/proxy.go (TryProxies) and repo.go (lookup); https://go.dev/ref/mod#private-modules
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol, TypeVar

from athens_proxy.errors import ModuleNotFound, NotServed, ProxyError
from athens_proxy.modules import ModulePath, ModuleVersion, RevInfo
from athens_proxy.storage.scratch import FETCH
from athens_proxy.storage.storage import FetchedModule
from athens_proxy.upstream.fetcher import Show, show_nobody
from athens_proxy.upstream.hops import ChainLink, DirectHop, Hop, OffHop, parse_chain
from athens_proxy.upstream.private import PrivateModules
from athens_proxy.upstream.transport import scratch_name

_T = TypeVar("_T")
# The go command knows these hosts: a repository of theirs has two elements after the host.
_HOSTS_OF_REPOSITORIES: Final = frozenset({"github.com", "bitbucket.org"})
_DIRECT_ONLY: Final = (ChainLink(DirectHop(), on_any_error=False),)


class Source(Protocol):
    """What one hop can do; errors as in `Fetcher` and `VersionLister`."""

    async def fetch(self, wanted: ModuleVersion, scratch: Path, *, show: Show = show_nobody) -> FetchedModule:
        """One version with its zip in `scratch`, a new folder made for it; `show` gets the small files early."""

    async def versions(self, path: ModulePath) -> list[str]:
        """See `VersionLister.versions`."""

    async def latest(self, path: ModulePath) -> RevInfo:
        """See `VersionLister.latest`."""

    async def resolve(self, wanted: ModuleVersion) -> RevInfo:
        """See `VersionLister.resolve`."""


class UpstreamChain:
    """A `Fetcher` and `VersionLister` over GOPROXY chains.

    Args:
        configured: the chain to use where a call gives none.
        private: modules that are only asked for at their origin.
        source_of: the source that speaks to a hop.
        scratch_root: directory below which each fetch gets its own temporary directory.
    """

    def __init__(
        self,
        configured: str,
        *,
        private: PrivateModules,
        source_of: Callable[[Hop], Source],
        scratch_root: Path,
    ) -> None:
        self._configured = parse_chain(configured)
        self._private = private
        self._source_of = source_of
        self._scratch_root = scratch_root

    @asynccontextmanager
    async def fetch(
        self, wanted: ModuleVersion, *, upstream: str = "", show: Show = show_nobody
    ) -> AsyncIterator[FetchedModule]:
        """One version from the first hop that has it; its files vanish when the context ends; see `Fetcher.fetch`."""
        folders: list[Path] = []

        async def fetch_from(source: Source) -> FetchedModule:
            folders.append(scratch_name(self._scratch_root, FETCH))
            return await source.fetch(wanted, folders[-1], show=show)

        try:
            fetched, hop = await self._first(wanted.path, upstream, fetch_from)
            yield replace(fetched, source=str(hop))
        finally:
            for scratch in folders:
                if not _removed_at_once(scratch):
                    await asyncio.shield(asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True))

    async def versions(self, path: ModulePath, *, upstream: str = "") -> list[str]:
        """The versions that the first hop lists; see `VersionLister.versions`."""
        return (await self._first(path, upstream, lambda source: source.versions(path)))[0]

    async def latest(self, path: ModulePath, *, upstream: str = "") -> RevInfo:
        """What the first hop calls latest; see `VersionLister.latest`."""
        return (await self._first(path, upstream, lambda source: source.latest(path)))[0]

    async def resolve(self, wanted: ModuleVersion, *, upstream: str = "") -> RevInfo:
        """What the first hop makes of a query; see `VersionLister.resolve`."""
        return (await self._first(wanted.path, upstream, lambda source: source.resolve(wanted)))[0]

    def links_for(self, path: ModulePath, upstream: str = "") -> tuple[ChainLink, ...]:
        """The hops that may be asked for a module, in order."""
        if self._private.covers(path.text):
            return _DIRECT_ONLY
        return _parsed(upstream) if upstream else self._configured

    async def _first(self, path: ModulePath, upstream: str, ask: Callable[[Source], Awaitable[_T]]) -> tuple[_T, Hop]:
        """The first answer, and the hop that gave it."""
        host, *rest = path.text.split("/")
        if host in _HOSTS_OF_REPOSITORIES and len(rest) < 2:
            raise ModuleNotFound(f"not found: {path}: no repository can have this path")
        failure: ProxyError | None = None
        for link in self.links_for(path, upstream):
            if isinstance(link.hop, OffHop):
                failure = failure or NotServed(f"not found: {path}: module lookup is disabled by GOPROXY=off")
                break
            if isinstance(link.hop, DirectHop) and path.is_toolchain:
                failure = failure or ModuleNotFound(f"not found: {path}: toolchains come from module proxies only")
                break
            try:
                return await ask(self._source_of(link.hop)), link.hop
            except ProxyError as error:
                failure = _more_telling(failure, error, link.hop)
                if not link.on_any_error and not isinstance(error, ModuleNotFound):
                    break
        raise failure or NotServed(f"not found: {path}: no upstream is configured")


def _removed_at_once(scratch: Path) -> bool:
    """Whether nothing but an empty folder was left, if any, as after a save that took the zip over; it is gone then."""
    try:
        scratch.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


@lru_cache(maxsize=256)
def _parsed(upstream: str) -> tuple[ChainLink, ...]:
    return parse_chain(upstream)


def _more_telling(known: ProxyError | None, error: ProxyError, hop: Hop) -> ProxyError:
    """The failure to report: the origin's word before any failure of a proxy, that before "not found"."""
    if known is None or isinstance(hop, DirectHop) or not isinstance(error, ModuleNotFound):
        return error
    return error if isinstance(known, ModuleNotFound) else known
