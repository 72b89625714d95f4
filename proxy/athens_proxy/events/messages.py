"""Server-sent events as a follower reads them; pure.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html (interpreting an event stream)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from athens_proxy.errors import InvalidPath, InvalidVersion
from athens_proxy.events.kinds import MAX_ID
from athens_proxy.modules import ModulePath, ModuleVersion

MAX_DATA_CHARS: Final = 64 * 1024


class InvalidMessage(ValueError):
    """The stream is none that this proxy can follow; the message says why."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `data` is "" for a sign of life, which moves the position all the same.

    Attributes:
        position: the last id so far, None before the first.
        kind: its type.
        data: its text.
    """

    position: int | None
    kind: str
    data: str

    @property
    def wanted(self) -> ModuleVersion | None:
        """The version that the message is about, None if it names no canonical one."""
        try:
            fields = json.loads(self.data)
            wanted = ModuleVersion.parse(ModulePath.parse(str(fields["module"])), str(fields["version"]))
        except (ValueError, KeyError, TypeError, RecursionError, InvalidPath, InvalidVersion):
            return None
        return wanted if wanted.is_canonical else None

    @property
    def detail(self) -> str:
        """What the publisher said about it."""
        try:
            return str(json.loads(self.data)["detail"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return ""


class MessageReader:
    """Puts messages together from lines."""

    def __init__(self) -> None:
        self._position: int | None = None
        self._kind = ""
        self._data: list[str] = []
        self._has_id = False

    def feed(self, line: str) -> Message | None:
        """Take a line without its end; the message that it completes, or None.

        Raises:
            InvalidMessage: an id that is no number, or too much data.
        """
        if not line:
            return self._completed()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            self._position, self._has_id = _position(value), True
        elif name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
            if sum(map(len, self._data)) > MAX_DATA_CHARS:
                raise InvalidMessage(f"a message has more than {MAX_DATA_CHARS} characters")
        return None

    def _completed(self) -> Message | None:
        message = Message(self._position, self._kind or "message", "\n".join(self._data))
        has_news = bool(self._data) or self._has_id
        self._kind, self._data, self._has_id = "", [], False
        return message if has_news else None


def _position(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 16 or int(text) > MAX_ID:
        raise InvalidMessage("an id is no number of ours; is this the address of an athens-proxy?")
    return int(text)
