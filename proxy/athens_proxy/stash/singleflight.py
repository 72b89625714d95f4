"""The outermost stash layer: one fetch per module version in this process."""

from __future__ import annotations

from functools import partial

from athens_proxy.modules import ModuleVersion
from athens_proxy.stash.flights import Flights
from athens_proxy.stash.stasher import Stasher

StashFlights = Flights[tuple[ModuleVersion, str], ModuleVersion]


class Singleflight:
    """Callers that want the same version share one stash; see `Flights` for who may leave.

    Args:
        inner: does the work.
        flights: what is in flight; its owner closes it.
    """

    def __init__(self, inner: Stasher, *, flights: StashFlights) -> None:
        self._inner = inner
        self._flights = flights

    async def stash(self, wanted: ModuleVersion, *, upstream: str = "") -> ModuleVersion:
        """Fetch and save, or wait for whoever does; see `Stasher.stash`."""
        work = partial(self._inner.stash, wanted, upstream=upstream)
        return await self._flights.join((wanted, upstream), work)
