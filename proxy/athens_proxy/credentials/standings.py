"""What is known of each entry: whether it is still good, until when, and where it was used last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from athens_proxy.credentials.entries import Entry


class State(StrEnum):
    """Whether an entry is good."""

    VALID = "Valid"
    REFUSED = "Refused"
    UNREACHABLE = "Unreachable"
    UNKNOWN = "Unknown"


@dataclass(slots=True)
class Standing:
    """One entry's.

    Attributes:
        state: whether it is good.
        message: why, in one line without secrets; "" where there is nothing to say.
        expires: when it ends, where that is known.
        used_at: the path of the repository that it was last shown for, as it was asked for; "" for none yet.
    """

    state: State = State.UNKNOWN
    message: str = "not tried yet"
    expires: datetime | None = None
    used_at: str = ""


class Standings:
    """Of all entries; told by those who use them and by the probes.

    Args:
        entries: of the credentials file.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = tuple(entries)
        self._by_name = {entry.name: Standing() for entry in entries}

    def of(self, name: str) -> Standing:
        """One entry's."""
        return self._by_name[name]

    def is_good(self, name: str) -> None:
        """A server took it."""
        self.found(name, State.VALID, "")

    def found(self, name: str, state: State, message: str) -> None:
        """Something was learnt of it."""
        standing = self._by_name[name]
        standing.state, standing.message = state, message

    def describe(self) -> list[dict[str, Any]]:
        """What `/-/config` shows, in the order of the file."""
        return [
            {
                "name": entry.name,
                "type": str(entry.kind),
                "match": str(entry.match) if entry.match else "",
                "state": str(standing.state),
                "expires": _rfc3339(standing.expires),
                "message": standing.message,
            }
            for entry in self._entries
            for standing in (self._by_name[entry.name],)
        ]

    def expiries_s(self) -> Iterator[tuple[str, float]]:
        """Name and seconds until the end, negative after it, of each entry whose end is known."""
        now = datetime.now(UTC)
        for name, standing in self._by_name.items():
            if standing.expires is not None:
                yield name, (standing.expires - now).total_seconds()


def _rfc3339(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None
