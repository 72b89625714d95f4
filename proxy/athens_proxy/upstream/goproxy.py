"""The module proxy protocol as a client: one version, lists and queries, over any `ProxyTransport`.

Nothing an upstream says is believed unread: versions must be the ones asked for, lists keep only what may be listed,
and a zip passes the module zip rules before anybody sees it.

Source: https://go.dev/ref/mod#goproxy-protocol
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from athens_policy import semver
from athens_proxy.checksums.dirhash import mod_hash1
from athens_proxy.errors import BadUpstreamAnswer, InvalidModuleZip, ModuleNotFound
from athens_proxy.modules import ModulePath, ModuleVersion, RevInfo, grammar
from athens_proxy.storage.storage import FetchedModule
from athens_proxy.upstream.fetcher import Show, SmallFiles, show_nobody
from athens_proxy.upstream.transport import ProxyTransport, make_scratch
from athens_proxy.upstream.whole_mod import looks_whole, require_whole_mod
from athens_proxy.upstream.zip_turns import ZipTurns
from athens_proxy.upstream.zipcheck import MAX_GO_MOD_BYTES, MAX_ZIP_BYTES, checked_zip_h1

MAX_INFO_BYTES: Final = 1024 * 1024
MAX_LIST_BYTES: Final = 16 * 1024 * 1024
_SHOWN_BYTES: Final = 60
_SHORT_LIST_BYTES: Final = 16 * 1024  # read within some ten milliseconds

_MODULE_LINE: Final = re.compile(rb"(?m)^[ \t]*module\b")
_VERSION_LINE: Final = re.compile(rb"(?m)^[ \t]*v[0-9]")
_VERSION_PREFIX: Final = re.compile(r"v\d+(\.\d+)?\Z", re.ASCII)


class GoProxy:
    """One module proxy.

    Args:
        transport: reads its files.
        name: its address for messages, without user information.
        turns: shared by all proxies; without them each zip comes at once.
    """

    def __init__(self, transport: ProxyTransport, *, name: str, turns: ZipTurns | None = None) -> None:
        self._transport = transport
        self._name = name
        self._turns = turns or ZipTurns()

    async def fetch(self, wanted: ModuleVersion, scratch: Path, *, show: Show = show_nobody) -> FetchedModule:
        """One version whose zip lies in `scratch`, a folder that is made for it if need be; a query is resolved first.

        Raises:
            ModuleNotFound, UpstreamDenied, UpstreamError, UpstreamThrottled, UpstreamTimeout: see `errors.py`.
        """
        if not wanted.is_canonical:
            wanted = ModuleVersion(wanted.path, (await self.resolve(wanted)).version)
        zip_path = scratch / "module.zip"
        try:
            async with asyncio.TaskGroup() as files:
                mod = files.create_task(self._mod(wanted))  # first: of the three a client waits for it most often
                info = files.create_task(self._info(wanted))
                small = files.create_task(self._shown(wanted, info, mod, show))
                zip_file = files.create_task(self._zip(wanted, zip_path))
        except ExceptionGroup as failures:
            raise _first(failures) from None  # the others were cancelled because of it
        (size_bytes, zip_h1), shown = zip_file.result(), small.result()
        await require_whole_mod(wanted, shown.mod, zip_path, upstream=self._name)
        return FetchedModule(wanted, shown.info, bytes(shown.mod), zip_path, size_bytes, zip_h1, shown.mod_h1)

    async def versions(self, path: ModulePath) -> list[str]:
        """The listed versions that may be listed; see `VersionLister.versions`."""
        data = await self._transport.read(f"{path.escaped}/@v/list", at_most_bytes=MAX_LIST_BYTES)
        if data.strip() and not _VERSION_LINE.search(data):  # a page for people, or compressed twice
            raise BadUpstreamAnswer(
                f"{path}: {self._name} answered a list without a version: {grammar.quoted(_shown_start(data))}"
            )
        if len(data) <= _SHORT_LIST_BYTES:
            return _listable(path, data)
        return await asyncio.to_thread(_listable, path, data)  # other clients do not wait until it is read

    async def latest(self, path: ModulePath) -> RevInfo:
        """What the proxy calls latest; see `VersionLister.latest`.

        The endpoint is optional, so a proxy without it gets its highest release, else its highest pre-release.
        """
        try:
            info = await self._revision(f"{path.escaped}/@latest", f"{path}@latest")
        except ModuleNotFound:
            versions = await self.versions(path)
            releases = [version for version in versions if not semver.prerelease(version)]
            if not versions:
                raise
            return await self._info(ModuleVersion(path, (releases or versions)[-1]))
        return self._own(path, info)

    async def resolve(self, wanted: ModuleVersion) -> RevInfo:
        """The canonical version of a query; see `VersionLister.resolve`."""
        if wanted.is_canonical:
            return await self._info(wanted)
        if wanted.version == "latest":
            return await self.latest(wanted.path)
        try:
            info = await self._revision(self._file(wanted, "info"), str(wanted))
        except ModuleNotFound:
            best = await self._best_of_prefix(wanted)
            if best is None:
                raise
            return await self._info(best)
        return self._own(wanted.path, info)

    async def _best_of_prefix(self, wanted: ModuleVersion) -> ModuleVersion | None:
        if not _VERSION_PREFIX.match(wanted.version):
            return None
        matching = [v for v in await self.versions(wanted.path) if v.startswith(wanted.version + ".")]
        releases = [version for version in matching if not semver.prerelease(version)]
        return ModuleVersion(wanted.path, (releases or matching)[-1]) if matching else None

    async def _info(self, wanted: ModuleVersion) -> RevInfo:
        info = await self._revision(self._file(wanted, "info"), str(wanted))
        if info.version != wanted.version:
            raise BadUpstreamAnswer(
                f"{wanted}: {self._name} answered info for version {grammar.quoted(info.version)} instead"
            )
        return info

    async def _mod(self, wanted: ModuleVersion) -> bytes:
        mod = await self._transport.read(self._file(wanted, "mod"), at_most_bytes=MAX_GO_MOD_BYTES)
        # The go.mod of a toolchain is never read; what is served for it has no module line everywhere.
        if not _MODULE_LINE.search(mod) and not (wanted.path.is_toolchain and mod.strip()):
            raise BadUpstreamAnswer(f"{wanted}: {self._name} answered a go.mod without a module directive")
        return mod

    async def _shown(
        self, wanted: ModuleVersion, info: asyncio.Task[RevInfo], mod: asyncio.Task[bytes], show: Show
    ) -> SmallFiles:
        data = await mod
        small = SmallFiles(wanted, (await info).of_version().encode(), data, mod_hash1(data))
        if not looks_whole(data):
            self._turns.asked(wanted, "zip")  # it will tell, and clients may wait for that
        await show(small)
        return small

    async def _zip(self, wanted: ModuleVersion, into: Path) -> tuple[int, str]:
        async with self._turns.turn(wanted):
            make_scratch(into.parent)  # not before: most versions are only asked for their go.mod
            size_bytes = await self._transport.download(self._file(wanted, "zip"), into, at_most_bytes=MAX_ZIP_BYTES)
            try:
                return size_bytes, await asyncio.to_thread(checked_zip_h1, into, wanted)
            except InvalidModuleZip as error:
                raise InvalidModuleZip(f"{error}; it came from {self._name}") from error

    async def _revision(self, file: str, asked: str) -> RevInfo:
        data = await self._transport.read(file, at_most_bytes=MAX_INFO_BYTES)
        try:
            return RevInfo.parse(data)
        except BadUpstreamAnswer as error:
            raise BadUpstreamAnswer(f"{asked}: bad answer of {self._name}: {error}") from error

    def _own(self, path: ModulePath, info: RevInfo) -> RevInfo:
        if not ModuleVersion(path, info.version).is_canonical:
            raise BadUpstreamAnswer(
                f"{path}: {self._name} answered {grammar.quoted(info.version)}, which is no version of this module"
            )
        return info

    @staticmethod
    def _file(wanted: ModuleVersion, extension: str) -> str:
        return f"{wanted.path.escaped}/@v/{wanted.escaped_version}.{extension}"


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure


def _shown_start(data: bytes) -> str:
    return data[:_SHOWN_BYTES].decode("utf-8", "replace")


def _listable(path: ModulePath, data: bytes) -> list[str]:
    return listable_versions(path, data.decode("utf-8", "replace").splitlines())


def listable_versions(path: ModulePath, lines: Iterable[str]) -> list[str]:
    """The canonical versions of a list, sorted, without pseudo-versions and whatever else may stand in such a file."""
    # In their order, which is mostly that of versions: sorting what is sorted holds nobody up.
    first_fields = dict.fromkeys(fields[0] for line in lines if (fields := line.split(maxsplit=1)))
    kept = (version for version in first_fields if ModuleVersion(path, version).is_canonical)
    return sorted((version for version in kept if not semver.is_pseudo_version(version)), key=semver.sort_key)
