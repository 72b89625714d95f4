"""The most frequent of endlessly many names, in bounded memory; pure.

Whatever was seen more often than one n-th of all times is among n kept names. A count is never too low, and says how
much too high it may be.

Source: Metwally, Agrawal, El Abbadi, "Efficient computation of frequent and top-k elements in data streams", 2005
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import nlargest


@dataclass(frozen=True, slots=True)
class Frequent:
    """One of the names that were seen most.

    Attributes:
        name: of it.
        count: how often it was seen, at most.
        error: how much less that may have been.
    """

    name: str
    count: int
    error: int


class SpaceSaving:
    """Counts names.

    Args:
        capacity: how many are kept.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._counts: dict[str, tuple[int, int]] = {}
        self._by_count: dict[int, dict[str, None]] = {}
        self._least = 0

    def add(self, name: str, times: int = 1) -> None:
        """A name was seen, at least once."""
        if name in self._counts:
            count, error = self._counts[name]
            self._leave(name, count)
        elif len(self._counts) < self._capacity:
            count = error = 0
        else:
            count = error = self._least
            rarest = next(iter(self._by_count[count]))
            del self._counts[rarest]
            self._leave(rarest, count)
        self._counts[name] = (count + times, error)
        self._by_count.setdefault(count + times, {})[name] = None
        if count + times < self._least or self._least not in self._by_count:
            self._least = min(self._by_count) if times > 1 or count == 0 else count + 1

    def top(self, at_most: int) -> list[Frequent]:
        """The names that were seen most, most of all first."""
        first = nlargest(at_most, self._counts.items(), key=lambda item: (item[1][0], -item[1][1]))
        return [Frequent(name, count, error) for name, (count, error) in first]

    def _leave(self, name: str, count: int) -> None:
        names = self._by_count[count]
        del names[name]
        if not names:
            del self._by_count[count]
