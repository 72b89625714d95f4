"""Durations in Go's spelling, as `minAge` has them: hours, minutes and seconds such as "72h" or "1h30m"."""

from __future__ import annotations

import re
from typing import Final

MAX_S: Final = 999_999 * 3600
_DURATION: Final = re.compile(r"(?:[0-9]{1,6}[hms])+")
_PART: Final = re.compile(r"([0-9]+)([hms])")
_UNITS: Final = {"h": 3600, "m": 60, "s": 1}


class InvalidDuration(ValueError):
    """The text is no duration above zero; the message says what is allowed."""


def parse_seconds(text: str) -> int:
    """The whole seconds of a duration.

    Raises:
        InvalidDuration: another shape or unit, zero, or more than 999999 hours.
    """
    if len(text) > 64 or not _DURATION.fullmatch(text):
        raise InvalidDuration(f'{text[:64]!r} is not a duration; write hours, minutes and seconds: "72h" or "1h30m"')
    seconds = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if not 0 < seconds <= MAX_S:
        raise InvalidDuration(f"{text!r} is out of range; write more than zero and at most 999999h")
    return seconds


def text_of(seconds: int) -> str:
    """The shortest spelling with whole units: 259200 is "72h", 5400 is "1h30m"."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    return "".join(f"{number}{unit}" for number, unit in ((hours, "h"), (minutes, "m"), (left, "s")) if number)
