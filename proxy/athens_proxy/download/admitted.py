"""What Athens asks before everything else: the filter file, then the validator hook; both deprecated, both kept."""

from __future__ import annotations

from typing import Protocol

from athens_proxy.download.protocol import DownloadProtocol
from athens_proxy.errors import AccessDenied, RedirectTo
from athens_proxy.modules import ModulePath, ModuleVersion, RevInfo
from athens_proxy.policy.filter_file import FilterFile, FilterRule
from athens_proxy.storage.storage import StoredZip
from athens_proxy.upstream.private import PrivateModules


class Validator(Protocol):
    """Somebody else who is asked about every file."""

    async def check(self, wanted: ModuleVersion) -> None:
        """Return if the version may be served; raises `AccessDenied` or another `ProxyError` otherwise."""


class Admitted:
    """A `DownloadProtocol` that asks filter file and validator before the policy, also for what is stored.

    A query is judged as it was asked, as in Athens, and once more as the version that it means.

    Args:
        inner: answers what is admitted.
        filter_file: None for none.
        global_endpoint: where `D` rules send clients.
        validator: None for none; never asked for lists and latest.
        private: modules that no `D` rule sends away.
    """

    def __init__(
        self,
        inner: DownloadProtocol,
        *,
        filter_file: FilterFile | None,
        global_endpoint: str,
        validator: Validator | None,
        private: PrivateModules | None = None,
    ) -> None:
        self._inner = inner
        self._filter = filter_file
        self._global_endpoint = global_endpoint.removesuffix("/")
        self._validator = validator
        self._private = private or PrivateModules()

    async def versions(self, path: ModulePath) -> list[str]:
        """The list of a module that is not excluded."""
        self._pass_filter(path, "", "@v/list")
        return await self._inner.versions(path)

    async def latest(self, path: ModulePath) -> RevInfo:
        """The latest version of a module that is not excluded."""
        self._pass_filter(path, "", "@latest")
        return await self._inner.latest(path)

    async def resolve(self, wanted: ModuleVersion) -> ModuleVersion:
        """The version that an admitted query means."""
        await self._admit(wanted, "info")
        return await self._inner.resolve(wanted)

    async def info(self, wanted: ModuleVersion) -> bytes:
        """The `.info` of an admitted version."""
        await self._admit(wanted, "info")
        return await self._inner.info(wanted)

    async def mod(self, wanted: ModuleVersion) -> bytes:
        """The `.mod` of an admitted version."""
        await self._admit(wanted, "mod")
        return await self._inner.mod(wanted)

    async def zip(self, wanted: ModuleVersion) -> StoredZip:
        """The zip of an admitted version."""
        await self._admit(wanted, "zip")
        return await self._inner.zip(wanted)

    async def _admit(self, wanted: ModuleVersion, extension: str) -> None:
        self._pass_filter(wanted.path, wanted.version, f"@v/{wanted.escaped_version}.{extension}")
        if self._validator is not None:
            await self._validator.check(wanted)

    def _pass_filter(self, path: ModulePath, version: str, file: str) -> None:
        rule = self._filter.rule(path, version) if self._filter else FilterRule.INCLUDE
        if rule is FilterRule.EXCLUDE:
            raise AccessDenied(f"denied by the filter file: it excludes {path}{version and f'@{version}'}")
        if rule is FilterRule.DIRECT and not self._private.covers(path.text):
            raise RedirectTo(f"{self._global_endpoint}/{path.escaped}/{file}", status=303)
