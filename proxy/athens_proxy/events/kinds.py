"""What an event is, and its forms as text; pure.

An event's id is the microsecond of its publication, made to grow where the clock does not. It stays below 2**53, so
that every JSON reader takes it exactly.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

MAX_ID: Final = 2**53 - 1
MAX_DETAIL: Final = 400
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Publish = Callable[[str, str, str, str], None]
"""Takes kind, module, version ("" for the module as a whole) and one line of detail; see `Events.publish`."""


class EventKind(StrEnum):
    """What can happen to a version."""

    STORED = "stored"
    EVICTED = "evicted"
    PURGED = "purged"
    REFUSED = "refused"
    RETRACTED = "retracted"
    DEPRECATED = "deprecated"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        id: grows from event to event of one origin.
        kind: what.
        module: the path, not escaped.
        version: "" for the module as a whole.
        detail: one printable line, "" for none.
        origin: which process published it.
    """

    id: int
    kind: EventKind
    module: str
    version: str
    detail: str
    origin: str

    @property
    def time(self) -> datetime:
        """When it was published, by the clock of that process."""
        return _EPOCH + timedelta(microseconds=self.id)

    def fields(self) -> dict[str, Any]:
        """What followers are told."""
        return {
            "id": self.id,
            "time": f"{self.time:%Y-%m-%dT%H:%M:%S.%fZ}",
            "kind": str(self.kind),
            "module": self.module,
            "version": self.version,
            "detail": self.detail,
        }


def one_line(text: str) -> str:
    """The text as one printable line of at most `MAX_DETAIL` characters."""
    if len(text) <= MAX_DETAIL and text.isprintable() and text == text.strip():
        return text
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= MAX_DETAIL else line[: MAX_DETAIL - 1] + "…"


def encode(events: list[Event]) -> bytes:
    """The record of these events, one JSON list a line."""
    rows = ([e.id, str(e.kind), e.module, e.version, e.detail, e.origin] for e in events)
    return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows).encode()


def decode(data: bytes) -> list[Event]:
    """The events of a record; lines that are none are left out, whoever wrote them."""
    return [event for line in data.splitlines() if (event := _event(line)) is not None]


def _event(line: bytes) -> Event | None:
    try:
        number, kind, *texts = json.loads(line)
        if type(number) is not int or not 0 < number <= MAX_ID or not all(isinstance(text, str) for text in texts):
            return None
        module, version, detail, origin = texts
        return Event(number, EventKind(kind), module, version, one_line(detail), origin)
    except (ValueError, TypeError, RecursionError):
        return None
