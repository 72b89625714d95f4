"""What a request handler can ask for: the five resources of a module, whoever answers.

Source: https://go.dev/ref/mod#goproxy-protocol
"""

from __future__ import annotations

from typing import Protocol

from athens_proxy.modules import ModulePath, ModuleVersion, RevInfo
from athens_proxy.storage.storage import StoredZip


class DownloadProtocol(Protocol):
    """Answers about modules; every method raises the errors of `errors.py`."""

    async def versions(self, path: ModulePath) -> list[str]:
        """The versions to list: canonical, in semver order, retracted ones included.

        Raises:
            ModuleNotFound: the path is no module here or upstream.
        """

    async def latest(self, path: ModulePath) -> RevInfo:
        """The version that `@latest` means; raises as `versions`."""

    async def resolve(self, wanted: ModuleVersion) -> ModuleVersion:
        """The canonical version that a query means; a canonical version means itself.

        Raises:
            ModuleNotFound: the query matches nothing.
            RedirectTo: another proxy shall answer.
        """

    async def info(self, wanted: ModuleVersion) -> bytes:
        """The `.info` of a canonical version.

        Raises:
            ModuleNotFound: no source has it, or the download mode does not serve it.
            RedirectTo: another proxy shall answer.
        """

    async def mod(self, wanted: ModuleVersion) -> bytes:
        """The `.mod` of a canonical version; raises as `info`."""

    async def zip(self, wanted: ModuleVersion) -> StoredZip:
        """The zip of a canonical version, complete and checked; raises as `info`."""
