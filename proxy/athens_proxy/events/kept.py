"""The events that are kept: a bounded list in the order in which they came here, and what follows a given one; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from athens_proxy.events.kinds import Event

OVERLAP_US: Final = 30_000_000  # by so much the events of another process may come late

_Key = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Following:
    """What came after some event.

    Attributes:
        events: oldest first.
        oldest: id of the oldest event that is kept, when older ones that were asked for are gone; else 0.
    """

    events: tuple[Event, ...]
    oldest: int = 0


class KeptEvents:
    """The last events.

    Args:
        at_most: how many are kept.
    """

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self._events: list[Event] = []
        self._keys: set[_Key] = set()
        self._last_id = 0

    @property
    def last_id(self) -> int:
        """The greatest id that was ever seen here, 0 for none."""
        return self._last_id

    def add(self, event: Event) -> bool:
        """Keep an event; False for one that is kept already."""
        key = (event.id, event.origin)
        if key in self._keys:
            return False
        self._keys.add(key)
        self._events.append(event)
        self._last_id = max(self._last_id, event.id)
        if len(self._events) > self._at_most * 5 // 4:  # in one go now and then, since each cut moves the whole list
            self._forget(len(self._events) - self._at_most)
        return True

    def newest(self, count: int) -> Sequence[Event]:
        """The last `count` events, newest first."""
        return list(islice(reversed(self._events), count))

    def after(self, since: int) -> Following:
        """What came after the event with this id; 0 stands before the first.

        Events of other processes come late, so those are told again that are little older than `since`: a follower
        that saw it at another replica may not have seen them.
        """
        events = self._events
        position = next((n for n in range(len(events) - 1, -1, -1) if events[n].id == since), -1)
        if position >= 0:
            seen = events[position]
            late = (e for e in events[:position] if e.origin != seen.origin and e.id > since - OVERLAP_US)
            return Following((*late, *events[position + 1 :]))
        newer = tuple(event for event in events if event.id > since)
        oldest = min((event.id for event in events), default=0)
        is_gap = since > 0 and (oldest == 0 or since < oldest)
        return Following(newer, (oldest or since) if is_gap else 0)

    def _forget(self, count: int) -> None:
        self._keys -= {(event.id, event.origin) for event in self._events[:count]}
        del self._events[:count]


def merged(recorded: Iterable[Event], own: Iterable[Event], *, at_most: int) -> list[Event]:
    """The record with events of one's own added: each once, in the order of ids, the last ones."""
    by_key = {(event.id, event.origin): event for event in (*recorded, *own)}
    return [by_key[key] for key in sorted(by_key)][-at_most:]
