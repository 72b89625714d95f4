"""The policy in front of everything: handlers hold only this, so that no endpoint can forget it."""

from __future__ import annotations

from collections.abc import Callable

from athens_policy.decide import Decision, Denied
from athens_proxy.download.listing import newest
from athens_proxy.download.protocol import DownloadProtocol
from athens_proxy.download.rules import Rules
from athens_proxy.download.stored_or_fetched import denied_text
from athens_proxy.errors import AccessDenied, ProxyError
from athens_proxy.modules import ModulePath, ModuleVersion, RevInfo
from athens_proxy.storage.storage import StoredZip

OnDecision = Callable[[Decision, ModulePath | ModuleVersion], None]


class Guarded:
    """A `DownloadProtocol` that asks the policy first, also for what is stored.

    Args:
        inner: answers what is allowed.
        rules: what is enforced now.
        on_decision: told about each decision on a request for a file, and about each module that is denied as a whole.
    """

    def __init__(self, inner: DownloadProtocol, rules: Rules, *, on_decision: OnDecision) -> None:
        self._inner = inner
        self._rules = rules
        self._on_decision = on_decision

    async def versions(self, path: ModulePath) -> list[str]:
        """The versions that the policy shows.

        Raises:
            AccessDenied: a rule without versions denies the module.
        """
        self._check_module(path)
        versions = await self._inner.versions(path)
        return await self._rules.visible(path, versions)

    async def latest(self, path: ModulePath) -> RevInfo:
        """Upstream's latest version, or the newest that the policy shows.

        Raises:
            AccessDenied: the policy shows none.
        """
        self._check_module(path)
        latest = await self._inner.latest(path)
        try:
            await self._check(ModuleVersion.parse(path, latest.version))
        except AccessDenied as denied:
            version = newest(await self._visible_if_listed(path))
            if not version:
                raise denied from None
            return RevInfo.parse(await self._inner.info(ModuleVersion(path, version)))
        return latest

    async def resolve(self, wanted: ModuleVersion) -> ModuleVersion:
        """The canonical version; a denied module is not even asked about."""
        self._check_module(wanted.path)
        return await self._inner.resolve(wanted)

    async def info(self, wanted: ModuleVersion) -> bytes:
        """The `.info` of an allowed version."""
        await self._check(wanted)
        return await self._inner.info(wanted)

    async def mod(self, wanted: ModuleVersion) -> bytes:
        """The `.mod` of an allowed version."""
        await self._check(wanted)
        return await self._inner.mod(wanted)

    async def zip(self, wanted: ModuleVersion) -> StoredZip:
        """The zip of an allowed version."""
        await self._check(wanted)
        return await self._inner.zip(wanted)

    async def _check(self, wanted: ModuleVersion) -> None:
        decision = await self._rules.about(wanted)
        self._on_decision(decision, wanted)
        _require(decision)

    def _check_module(self, path: ModulePath) -> None:
        decision = self._rules.about_module(path)
        if isinstance(decision.effect, Denied):
            self._on_decision(decision, path)
        _require(decision)

    async def _visible_if_listed(self, path: ModulePath) -> list[str]:
        try:
            return await self.versions(path)
        except ProxyError:
            return []


def _require(decision: Decision) -> None:
    if isinstance(decision.effect, Denied):
        raise AccessDenied(denied_text(decision.effect))
