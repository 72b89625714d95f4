"""Refusals as events: each version once a minute at most, and never so many that they drive out everything else.

Clients alone decide what is refused here, and the names they ask for may be private: what `is_shown` does not allow is
told to nobody.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from athens_proxy.download.protocol import DownloadProtocol
from athens_proxy.errors import AccessDenied
from athens_proxy.events.kinds import EventKind, Publish
from athens_proxy.modules import ModulePath, ModuleVersion, RevInfo
from athens_proxy.storage.storage import StoredZip

AGAIN_S: Final = 60.0
A_MINUTE: Final = 60  # so many versions
REMEMBERED: Final = 1_000
T = TypeVar("T")


class Refusals:
    """Publishes refusals, bounded.

    Args:
        publish: takes the events.
        is_shown: whether those who follow may learn that this module was asked for.
    """

    def __init__(self, publish: Publish, *, is_shown: Callable[[ModulePath], bool]) -> None:
        self._publish = publish
        self._is_shown = is_shown
        self._told_s: OrderedDict[ModulePath | ModuleVersion, float] = OrderedDict()
        self._allowance = float(A_MINUTE)
        self._counted_s = 0.0
        self._left_out = 0

    def refused(self, wanted: ModulePath | ModuleVersion, why: str) -> None:
        """Tell of a refusal, unless that was told a moment ago or too many were."""
        now_s = asyncio.get_running_loop().time()
        path = wanted.path if isinstance(wanted, ModuleVersion) else wanted
        told_s = self._told_s.get(wanted)
        if (told_s is not None and now_s - told_s < AGAIN_S) or not self._is_shown(path):
            return
        if not self._has_allowance(now_s):
            self._left_out += 1
            return
        if self._left_out:
            why, self._left_out = f"{why} (and {self._left_out} more that were not told)", 0
        self._told_s[wanted] = now_s
        self._told_s.move_to_end(wanted)
        if len(self._told_s) > REMEMBERED:
            self._told_s.popitem(last=False)
        self._publish(EventKind.REFUSED, path.text, wanted.version if isinstance(wanted, ModuleVersion) else "", why)

    def _has_allowance(self, now_s: float) -> bool:
        grown = self._allowance + (now_s - self._counted_s) * A_MINUTE / 60.0
        self._allowance, self._counted_s = min(float(A_MINUTE), grown), now_s
        if self._allowance < 1.0:
            return False
        self._allowance -= 1.0
        return True


class TellingRefusals:
    """A `DownloadProtocol` whose refusals are told, whoever refused: policy, filter file or validator."""

    def __init__(self, inner: DownloadProtocol, refusals: Refusals) -> None:
        self._inner = inner
        self._refusals = refusals

    async def versions(self, path: ModulePath) -> list[str]:
        """See `DownloadProtocol.versions`."""
        return await self._told(path, self._inner.versions(path))

    async def latest(self, path: ModulePath) -> RevInfo:
        """See `DownloadProtocol.latest`."""
        return await self._told(path, self._inner.latest(path))

    async def resolve(self, wanted: ModuleVersion) -> ModuleVersion:
        """See `DownloadProtocol.resolve`."""
        return await self._told(wanted, self._inner.resolve(wanted))

    async def info(self, wanted: ModuleVersion) -> bytes:
        """See `DownloadProtocol.info`."""
        return await self._told(wanted, self._inner.info(wanted))

    async def mod(self, wanted: ModuleVersion) -> bytes:
        """See `DownloadProtocol.mod`."""
        return await self._told(wanted, self._inner.mod(wanted))

    async def zip(self, wanted: ModuleVersion) -> StoredZip:
        """See `DownloadProtocol.zip`."""
        return await self._told(wanted, self._inner.zip(wanted))

    async def _told(self, wanted: ModulePath | ModuleVersion, answer: Awaitable[T]) -> T:
        try:
            return await answer
        except AccessDenied as refusal:
            self._refusals.refused(wanted, str(refusal))
            raise
