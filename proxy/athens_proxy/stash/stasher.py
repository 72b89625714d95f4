"""The contract of a stash layer, and how layers are stacked.

Athens' word: to stash is to fetch a version and save it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from athens_proxy.modules import ModuleVersion


class Stasher(Protocol):
    """Makes a module version be stored."""

    async def stash(self, wanted: ModuleVersion, *, upstream: str = "") -> ModuleVersion:
        """Fetch and save; returns the canonical version that is now stored.

        Raises:
            ProxyError: any failure of fetching or saving; nothing half-saved is visible.
        """


def layered(*layers: Callable[[Stasher], Stasher], core: Stasher) -> Stasher:
    """The core wrapped by the layers, the first of them outermost."""
    for layer in reversed(layers):
        core = layer(core)
    return core
