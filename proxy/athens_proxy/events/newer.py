"""Newer versions of modules in use, brought into the store so that what they take back is told.

Retractions and deprecations stand in the go.mod of the newest version alone (`stored.py`), and nobody may ask for that
for months. This looks for it from time to time, one module after the other, as a client would: by the same policy,
upstreams and checksum database, and no more is asked about private modules than when they are served.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Protocol

from athens_proxy.errors import ModuleNotFound, ProxyError, RedirectTo
from athens_proxy.modules import ModulePath, ModuleVersion

FIRST_AFTER_S: Final = 600.0  # a process that is often begun anew looks too
PAUSE_S: Final = 1.0  # between two modules
_LOG = logging.getLogger(__name__)


class Modules(Protocol):
    """What is asked as a client would; a part of `DownloadProtocol`."""

    async def versions(self, path: ModulePath) -> list[str]:
        """The versions to list."""

    async def mod(self, wanted: ModuleVersion) -> bytes:
        """The `.mod` of a version, which is stored from then on."""


class NewerVersions:
    """Looks for newer versions of the modules that are asked for.

    Args:
        modules: answers as to a client.
        stored: the stored versions of a module.
        in_use: paths of modules that are asked for, a bounded number of them.
        newest: which of versions the go command reads retractions from, "" for none.
        every_s: seconds from the end of one round to the next one.
    """

    def __init__(
        self,
        modules: Modules,
        stored: Callable[[ModulePath], Awaitable[Sequence[str]]],
        *,
        in_use: Callable[[], Sequence[str]],
        newest: Callable[[Iterable[str]], str],
        every_s: float,
    ) -> None:
        self._modules = modules
        self._stored = stored
        self._in_use = in_use
        self._newest = newest
        self._every_s = every_s

    async def run(self) -> None:
        """Look until cancelled."""
        await asyncio.sleep(min(self._every_s, FIRST_AFTER_S))
        while True:
            for path in self._in_use():
                await self._looked_at(path)
                await asyncio.sleep(PAUSE_S)
            await asyncio.sleep(self._every_s)

    async def _looked_at(self, path: str) -> None:
        try:
            await self._bring_newest(ModulePath.parse(path))
        except (ModuleNotFound, RedirectTo):
            return  # gone or served by others: no news here
        except ProxyError as error:
            _LOG.debug("what a newer version of %s takes back is not looked for now: %s", path, error)
        except Exception:  # noqa: BLE001 - an outermost edge: nobody awaits this
            _LOG.exception("what a newer version of %s takes back is not looked for now", path)

    async def _bring_newest(self, path: ModulePath) -> None:
        stored = set(await self._stored(path))
        if not stored:
            return
        newest = self._newest([*stored, *await self._modules.versions(path)])
        if newest not in stored:
            await self._modules.mod(ModuleVersion(path, newest))
