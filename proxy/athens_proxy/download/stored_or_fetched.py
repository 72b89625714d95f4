"""The store first; what is absent is obtained as the download mode says, and then read from the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar, assert_never
from urllib.parse import quote

from athens_policy.decide import Decision, Denied, FetchAsync, FetchSync, Redirect
from athens_policy.decide import NotServed as ModeNone
from athens_proxy.download.listing import NetworkMode, listed, meant, newest, not_found
from athens_proxy.download.rules import Rules
from athens_proxy.errors import (
    AccessDenied,
    ModuleNotFound,
    NotServed,
    Overloaded,
    ProxyError,
    RedirectTo,
    UpstreamError,
    UpstreamThrottled,
    UpstreamTimeout,
)
from athens_proxy.modules import ModulePath, ModuleVersion, RevInfo
from athens_proxy.stash.stasher import Stasher
from athens_proxy.storage.storage import Storage, StoredZip
from athens_proxy.upstream.fetcher import SmallFiles, VersionLister

T = TypeVar("T")
OnLookup = Callable[[str, bool], None]
_FEW_VERSIONS: Final = 1000  # merged while others wait; more are merged on a thread
# Hosts whose repositories always have the form host/user/repository, so that shorter paths need no question.
_HOSTS_OF_THREE = frozenset({"github.com", "bitbucket.org"})


class Early(Protocol):
    """Shows the small files of a version that is being fetched."""

    def asked(self, wanted: ModuleVersion, extension: str) -> None:
        """A client asks for this file (info, mod, zip), so that what is waited for comes first; never blocks."""

    async def small_files(self, wanted: ModuleVersion, *, upstream: str = "") -> SmallFiles:
        """They, as soon as they may be served; may wait for ever, so it is cancelled when the fetch ends first."""


class Background(Protocol):
    """Takes fetches that nobody waits for."""

    def add(self, wanted: ModuleVersion, *, upstream: str = "") -> bool:
        """Queue a fetch; never blocks. False when there is no room for it."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything an answer can come from.

    Attributes:
        storage: what is stored.
        stasher: fetches and saves.
        lister: asks upstream what exists.
        background: fetches of the async modes.
        rules: what the download mode is.
        early: answers `.info` and `.mod` while the zip is on its way; None to wait for the whole version.
    """

    storage: Storage
    stasher: Stasher
    lister: VersionLister
    background: Background
    rules: Rules
    early: Early | None = None


class StoredOrFetched:
    """A `DownloadProtocol` over a store and an upstream.

    Args:
        sources: see `Sources`.
        network_mode: offline never leaves this process.
        on_lookup: told for each file which kind it is (info, gomod, zip) and whether it was stored.
    """

    def __init__(self, sources: Sources, *, network_mode: NetworkMode, on_lookup: OnLookup) -> None:
        self._sources = sources
        self._network_mode = network_mode
        self._on_lookup = on_lookup

    async def versions(self, path: ModulePath) -> list[str]:
        """Stored and upstream versions merged by `listing.listed`."""
        stored = await self._sources.storage.versions(path)
        upstream = await self._upstream_versions(path)
        known_count = len(stored) + (0 if isinstance(upstream, ProxyError) else len(upstream))
        if known_count <= _FEW_VERSIONS:
            return listed(path, stored, upstream, self._network_mode)
        return await asyncio.to_thread(listed, path, stored, upstream, self._network_mode)

    async def latest(self, path: ModulePath) -> RevInfo:
        """Upstream's answer; the newest stored version when upstream does not have the module or may fail."""
        try:
            return await self._upstream_latest(path)
        except ProxyError as error:
            if self._network_mode is NetworkMode.STRICT and not isinstance(error, ModuleNotFound):
                raise
            version = newest(await self._sources.storage.versions(path))
            if not version:
                raise not_found(error) from error
            return RevInfo.parse(await self._sources.storage.info(ModuleVersion(path, version)))

    async def resolve(self, wanted: ModuleVersion) -> ModuleVersion:
        """Ask upstream what the query means, unless the download mode answers it; else what is stored may say."""
        if wanted.is_canonical:
            return wanted
        try:
            return await self._resolved(wanted)
        except (ModuleNotFound, UpstreamError, UpstreamThrottled, UpstreamTimeout, Overloaded) as error:
            if self._network_mode is NetworkMode.STRICT and not isinstance(error, ModuleNotFound):
                raise
            version = meant(wanted.version, await self._sources.storage.versions(wanted.path))
            if not version:
                raise not_found(error) from error
            return ModuleVersion(wanted.path, version)

    async def _resolved(self, wanted: ModuleVersion) -> ModuleVersion:
        self._refuse_unaskable(wanted.path, f"{wanted} is a query")
        decision = self._sources.rules.about_module(wanted.path)
        if not isinstance(decision.effect, FetchSync):
            await self._obtain(wanted, "info", decision)
        revision = await self._sources.lister.resolve(wanted, upstream=decision.upstream)
        return ModuleVersion.parse(wanted.path, revision.version)

    async def info(self, wanted: ModuleVersion) -> bytes:
        """The stored `.info`, fetched first if need be."""
        return await self._stored_or_fetched(wanted, "info", self._sources.storage.info, early=lambda files: files.info)

    async def mod(self, wanted: ModuleVersion) -> bytes:
        """The stored `.mod`, fetched first if need be."""
        return await self._stored_or_fetched(wanted, "mod", self._sources.storage.mod, early=lambda files: files.mod)

    async def zip(self, wanted: ModuleVersion) -> StoredZip:
        """The stored zip, fetched first if need be."""
        return await self._stored_or_fetched(wanted, "zip", self._sources.storage.open_zip)

    async def _stored_or_fetched(
        self,
        wanted: ModuleVersion,
        extension: str,
        read: Callable[[ModuleVersion], Awaitable[T]],
        *,
        early: Callable[[SmallFiles], T] | None = None,
    ) -> T:
        try:
            stored = await read(wanted)
        except ModuleNotFound:
            self._on_lookup(_METRIC_NAMES[extension], False)
            files = await self._obtain(wanted, extension, await self._sources.rules.about(wanted))
            return early(files) if early and files else await read(wanted)
        self._on_lookup(_METRIC_NAMES[extension], True)
        return stored

    async def _obtain(self, wanted: ModuleVersion, extension: str, decision: Decision) -> SmallFiles | None:
        """Make a version be stored, or raise why it is not; returns its small files where they came before the zip."""
        match decision.effect:
            case FetchSync():
                self._refuse_unaskable(wanted.path, f"{wanted} is not stored")
                return await self._fetched(wanted, extension, decision.upstream)
            case FetchAsync():
                if extension == "zip" and await self._is_evicted(wanted):
                    return await self._fetched(wanted, extension, decision.upstream)
                is_queued = self._fetch_later(wanted, decision.upstream)
                what = "being fetched in the background" if is_queued else "not stored, and too many fetches wait"
                raise NotServed(f"not found: {wanted} is {what}; try again later")
            case ModeNone(reason=why):
                why = why or "the download mode does not fetch it"
                raise NotServed(f"not found: {wanted} is not stored, and {why}")
            case Redirect(url=url, also_fetch=also_fetch):
                if also_fetch:
                    self._fetch_later(wanted, decision.upstream)
                raise RedirectTo(_file_url(url, wanted, extension))
            case Denied() as denied:
                raise AccessDenied(denied_text(denied))
            case _ as never:
                assert_never(never)

    async def _is_evicted(self, wanted: ModuleVersion) -> bool:
        """Whether a version is stored and only its zip is gone: clients count on it, so they wait for that one."""
        try:
            await self._sources.storage.info(wanted)
        except ModuleNotFound:
            return False
        return self._network_mode is not NetworkMode.OFFLINE

    async def _fetched(self, wanted: ModuleVersion, extension: str, upstream: str) -> SmallFiles | None:
        early = self._sources.early
        if early is not None:
            early.asked(wanted, extension)
        stash = self._sources.stasher.stash(wanted, upstream=upstream)
        if extension == "zip" or early is None:
            await stash
            return None
        return await _first(stash, early.small_files(wanted, upstream=upstream))

    def _fetch_later(self, wanted: ModuleVersion, upstream: str) -> bool:
        self._refuse_unaskable(wanted.path, f"{wanted} is not stored")
        return self._sources.background.add(wanted, upstream=upstream)

    async def _upstream_versions(self, path: ModulePath) -> list[str] | ProxyError:
        try:
            self._refuse_unaskable(path, f"{path} is not stored")
            return await self._sources.lister.versions(path, upstream=self._chain(path))
        except ProxyError as error:
            return error

    async def _upstream_latest(self, path: ModulePath) -> RevInfo:
        self._refuse_unaskable(path, f"{path} is not stored")
        return await self._sources.lister.latest(path, upstream=self._chain(path))

    def _chain(self, path: ModulePath) -> str:
        return self._sources.rules.about_module(path).upstream

    def _refuse_unaskable(self, path: ModulePath, what: str) -> None:
        if self._network_mode is NetworkMode.OFFLINE:
            raise ModuleNotFound(f"not found: {what}, and nothing is fetched: offline")
        elements = path.text.split("/")
        if elements[0] in _HOSTS_OF_THREE and len(elements) < 3:
            raise ModuleNotFound(f"not found: {path} is no module: {elements[0]} has host/user/repository")


async def _first(stash: Awaitable[object], small_files: Awaitable[SmallFiles]) -> SmallFiles | None:
    """The small files, or None when the whole version is stored; what is still waited for then goes on by itself."""
    stashing, showing = asyncio.ensure_future(stash), asyncio.ensure_future(small_files)
    try:
        await asyncio.wait({stashing, showing}, return_when=asyncio.FIRST_COMPLETED)
        if showing.done():
            return showing.result()
        await stashing
        return None
    finally:
        stashing.cancel()
        showing.cancel()
        await asyncio.gather(stashing, showing, return_exceptions=True)


_METRIC_NAMES = {"info": "info", "mod": "gomod", "zip": "zip"}


def denied_text(denied: Denied) -> str:
    """The line that a client sees: the rule's name and its reason."""
    by = f"denied by {denied.name}" if denied.name else "denied by the download policy"
    reason = denied.reason or "no reason is given"
    if denied.available_after is not None:
        reason = f"{reason}; available after {denied.available_after:%Y-%m-%dT%H:%M:%SZ}"
    return f"{by}: {reason}"


def _file_url(base: str, wanted: ModuleVersion, extension: str) -> str:
    # Go writes `!` as %21 and leaves `+` in a Location.
    path = quote(f"/{wanted.path.escaped}/@v/{wanted.escaped_version}.{extension}", safe="/@+$&=:;,~")
    return f"{base.rstrip('/')}{path}"
