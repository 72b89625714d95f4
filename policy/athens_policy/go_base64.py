"""Go's standard base64 decoding with Go's errors, so that a bad `custom:` value is reported as Athens reports it.

Source: encoding/base64 (StdEncoding.DecodeString, decodeQuantum).
"""

from __future__ import annotations

import base64
import re
from typing import Final

_LINE_BREAKS: Final = re.compile(r"[\r\n]")
_OUTSIDE: Final = re.compile(r"[^A-Za-z0-9+/\r\n]")
_PADDING: Final = re.compile(r"=[\r\n]*=[\r\n]*")
_LAST_PADDING: Final = re.compile(r"=[\r\n]*")


class CorruptInput(ValueError):
    """The text is no base64; the message is Go's `illegal base64 data at input byte N`."""


def decoded(text: str) -> bytes:
    """The bytes; line breaks in the text count for nothing.

    Raises:
        CorruptInput: a character outside the alphabet, wrong padding, or an incomplete end.
    """
    _check(text)
    return base64.b64decode(_LINE_BREAKS.sub("", text))


def _check(text: str) -> None:
    first = _OUTSIDE.search(text)
    end = first.start() if first else len(text)
    digits = [position for position, character in enumerate(text[:end]) if character not in "\r\n"]
    surplus = len(digits) % 4
    if first is None:
        if surplus:
            raise _corrupt(text, len(text) - surplus)
        return
    if first[0] != "=" or surplus < 2:
        raise _corrupt(text, end)
    padding = (_PADDING if surplus == 2 else _LAST_PADDING).match(text, end)
    if padding is None:
        second = _LAST_PADDING.match(text, end)
        after = second.end() if second else end
        raise _corrupt(text, after if after == len(text) else after - 1)
    if padding.end() != len(text):
        raise _corrupt(text, padding.end())


def _corrupt(text: str, offset: int) -> CorruptInput:
    position = len(text[:offset].encode("utf-8", "replace"))
    return CorruptInput(f"illegal base64 data at input byte {position}")
