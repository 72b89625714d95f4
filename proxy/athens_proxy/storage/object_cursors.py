"""Listings that are kept open between two pages, for a service that cannot start a listing behind a key.

Azure Blob continues a listing from its own mark only, which obstore does not show; without this every page would list
the container from its start. A client that comes back soon goes on where it was, any other one pays for the way there.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

KEPT_S = 60.0
KEPT_COUNT = 4
_T = TypeVar("_T")


class Cursors(Generic[_T]):
    """At most `KEPT_COUNT` iterators by the token that continues them, each for `KEPT_S`."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, _T, AsyncIterator[_T]]] = OrderedDict()

    def keep(self, token: str, following: _T, rest: AsyncIterator[_T]) -> None:
        """Remember an iterator whose next item was taken already."""
        self._kept[token] = (time.monotonic(), following, rest)
        self._kept.move_to_end(token)
        if len(self._kept) > KEPT_COUNT:
            self._kept.popitem(last=False)

    def resumed(self, token: str) -> AsyncIterator[_T] | None:
        """The items behind a token, once; None if they have to be listed."""
        kept = self._kept.pop(token, None)
        if kept is None or time.monotonic() - kept[0] > KEPT_S:
            return None
        return _chained(kept[1], kept[2])


async def _chained(first: _T, rest: AsyncIterator[_T]) -> AsyncIterator[_T]:
    yield first
    async for item in rest:
        yield item
