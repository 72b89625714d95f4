"""Which events a follower wants: by kind, and by pattern of the module's path; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from athens_policy.patterns import InvalidPattern, Pattern
from athens_proxy.events.kinds import Event, EventKind

MAX_PATTERNS: Final = 100


class InvalidFilter(ValueError):
    """The filter is none; the message says what is allowed."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """A set of events; no kinds means every kind, no patterns every module."""

    kinds: frozenset[EventKind] = frozenset()
    patterns: tuple[Pattern, ...] = ()

    @classmethod
    def parse(cls, kinds: Iterable[str], patterns: Iterable[str]) -> EventFilter:
        """The filter of texts that each may hold several values between commas.

        Raises:
            InvalidFilter: an unknown kind, a malformed pattern, or too many patterns.
        """
        wanted = _values(patterns)
        if len(wanted) > MAX_PATTERNS:
            raise InvalidFilter(f"{len(wanted)} patterns; at most {MAX_PATTERNS} are allowed")
        try:
            return cls(frozenset(map(_kind, _values(kinds))), tuple(map(Pattern.parse, wanted)))
        except InvalidPattern as error:
            raise InvalidFilter(str(error)) from error

    def takes(self, event: Event) -> bool:
        """Whether the event is wanted."""
        if self.kinds and event.kind not in self.kinds:
            return False
        return not self.patterns or any(pattern.matches(event.module) for pattern in self.patterns)


def _kind(text: str) -> EventKind:
    try:
        return EventKind(text)
    except ValueError:
        allowed = ", ".join(EventKind)
        raise InvalidFilter(f"kind {text[:40]!r} is not known; use some of {allowed}") from None


def _values(texts: Iterable[str]) -> list[str]:
    return [value.strip() for text in texts for value in text.split(",") if value.strip()]
