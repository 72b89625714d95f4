"""The stash layer around fetch and save: what was saved is recorded in the index."""

from __future__ import annotations

from typing import Protocol

from athens_proxy.modules import ModuleVersion
from athens_proxy.stash.stasher import Stasher


class Recorder(Protocol):
    """Takes what was stored; never fails."""

    async def record(self, wanted: ModuleVersion) -> None:
        """Hand a version over."""


class Indexed:
    """Records each version that the inner layer stored."""

    def __init__(self, inner: Stasher, *, recorder: Recorder) -> None:
        self._inner = inner
        self._recorder = recorder

    async def stash(self, wanted: ModuleVersion, *, upstream: str = "") -> ModuleVersion:
        """Fetch, save and record; see `Stasher.stash`."""
        stored = await self._inner.stash(wanted, upstream=upstream)
        await self._recorder.record(stored)
        return stored
