"""Single flight: callers that want the same thing at the same time share one piece of work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from typing import Final, Generic, TypeVar

from athens_proxy.errors import Overloaded

MAX_FLIGHTS: Final = 10_000
K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Flights(Generic[K, T]):
    """Running work by key.

    A waiter that leaves does not cancel the work; a failure reaches everybody who waits and is then forgotten. Since
    work outlives those who asked for it, there is an end to how much of it is begun.

    Args:
        at_most: how much work may be in flight; whoever would begin more is refused.
    """

    def __init__(self, *, at_most: int = MAX_FLIGHTS) -> None:
        self._at_most = at_most
        self._flights: dict[K, asyncio.Future[T]] = {}

    @property
    def in_flight_count(self) -> int:
        """How much work is in flight."""
        return len(self._flights)

    async def join(self, key: K, work: Callable[[], Awaitable[T]]) -> T:
        """The result of the work in flight for this key, started now if there is none.

        Raises:
            Overloaded: none is in flight for this key, and no more may be begun.
        """
        return await asyncio.shield(self._flight(key, work))

    def begin(self, key: K, work: Callable[[], Awaitable[T]]) -> None:
        """Start the work for this key unless it is in flight or no more may be begun, without waiting for it."""
        with suppress(Overloaded):
            _ = self._flight(key, work)

    async def aclose(self) -> None:
        """Cancel what is in flight and wait until it has cleaned up."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _flight(self, key: K, work: Callable[[], Awaitable[T]]) -> asyncio.Future[T]:
        flight = self._flights.get(key)
        if flight is None:
            if len(self._flights) >= self._at_most:
                raise Overloaded(
                    f"{self._at_most} questions to upstreams are under way or wait, and no more are taken;"
                    " ask again in some seconds; MaxPendingFetches sets the limit"
                )
            flight = asyncio.ensure_future(work())
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._landed(key, done))
        return flight

    def _landed(self, key: K, flight: asyncio.Future[T]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # everybody who waited has it; nobody may have waited
