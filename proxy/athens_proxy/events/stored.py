"""What a new version means for those who follow: it is stored, and its go.mod may take others back.

The go command reads retractions and deprecations in the go.mod of the newest version alone, so only a version that is
now the newest here has news. What the one before it said is no news.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from athens_proxy.errors import ModuleNotFound, ProxyError
from athens_proxy.events.kinds import EventKind, Publish
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.modules.go_mod import GoMod, parsed_go_mod
from athens_proxy.storage.storage import FetchedModule, Storage

NOTHING_SAID: Final = GoMod((), "")
LONGEST_BYTES: Final = 256 * 1024  # of a go.mod that is read; those of large programs have a tenth
READS: Final = 4  # stores are asked by so many of these at once
_LOG = logging.getLogger(__name__)


class StoredNews:
    """Publishes what was stored, and what its go.mod says of other stored versions.

    Args:
        storage: where the other versions are.
        publish: takes the events.
        newest: which of versions `@latest` means, "" for none.
    """

    def __init__(self, storage: Storage, publish: Publish, *, newest: Callable[[Iterable[str]], str]) -> None:
        self._storage = storage
        self._publish = publish
        self._newest = newest
        self._reading: set[asyncio.Task[None]] = set()
        self._reads = asyncio.Semaphore(READS)

    def saved(self, fetched: FetchedModule) -> None:
        """A version was stored; never waits and never fails."""
        wanted = fetched.wanted
        source = f"from {fetched.source}, " if fetched.source else ""
        self._publish(EventKind.STORED, wanted.path.text, wanted.version, f"{source}{fetched.zip_size_bytes} bytes")
        said = _said(fetched.mod)
        if said != NOTHING_SAID:
            task = asyncio.create_task(self._compare(wanted, said), name=f"retractions-{wanted}")
            self._reading.add(task)
            task.add_done_callback(self._reading.discard)

    async def aclose(self) -> None:
        """End what is still being read."""
        for task in self._reading:
            task.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)

    async def _compare(self, wanted: ModuleVersion, said: GoMod) -> None:
        try:
            async with self._reads:
                await self._told(wanted, said)
        except ProxyError as error:
            _LOG.warning("what %s takes back is not told to those who follow: %s", wanted, error)
        except Exception:  # noqa: BLE001 - an outermost edge: nobody awaits this task
            _LOG.exception("what %s takes back is not told to those who follow", wanted)

    async def _told(self, wanted: ModuleVersion, said: GoMod) -> None:
        stored = set(await self._storage.versions(wanted.path)) | {wanted.version}
        if self._newest(stored) != wanted.version:
            return
        before = await self._said_by(wanted.path, self._newest(stored - {wanted.version}))
        if said.deprecated and said.deprecated != before.deprecated:
            self._publish(EventKind.DEPRECATED, wanted.path.text, "", said.deprecated)
        for version in sorted(stored):
            await asyncio.sleep(0)  # a go.mod may retract thousands one by one
            retraction = said.retraction_of(version)
            if retraction is not None and before.retraction_of(version) is None:
                why = retraction.rationale or "its author gives no reason"
                self._publish(EventKind.RETRACTED, wanted.path.text, version, why)

    async def _said_by(self, path: ModulePath, version: str) -> GoMod:
        if not version:
            return NOTHING_SAID
        try:
            return _said(await self._storage.mod(ModuleVersion(path, version)))
        except ModuleNotFound:  # removed meanwhile
            return NOTHING_SAID


def _said(go_mod: bytes) -> GoMod:
    """What a go.mod says of versions; nothing, if it is so long that others would wait while it is read."""
    return parsed_go_mod(go_mod) if len(go_mod) <= LONGEST_BYTES else NOTHING_SAID
