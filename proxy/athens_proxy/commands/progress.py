"""A progress bar for people at a terminal; nobody else sees one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TextIO

WIDTH: Final = 30
EVERY_S: Final = 0.1


class Progress(Protocol):
    """How far a command is."""

    @property
    def found(self) -> int:
        """What there is to do."""

    @property
    def done(self) -> int:
        """How much of it is done."""

    @property
    def outcomes(self) -> Mapping[Any, int]:
        """How many of each."""

    @property
    def copied_bytes(self) -> int:
        """What was moved."""


class ProgressBar:
    """One line that is written over and over.

    Args:
        stream: where the terminal is, usually standard error.
        clock: seconds that only grow.
    """

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._begun_at = clock()
        self._drawn_at = float("-inf")
        self._is_shown = stream.isatty()

    def show(self, tally: Progress) -> None:
        """Draw the present state, at most ten times a second."""
        now = self._clock()
        if self._is_shown and (now - self._drawn_at >= EVERY_S or tally.done == tally.found):
            self._drawn_at = now
            self._stream.write(f"\r\x1b[K{bar(tally, elapsed_s=now - self._begun_at)}")
            self._stream.flush()

    def close(self) -> None:
        """Leave the line."""
        if self._is_shown:
            self._stream.write("\n")


def bar(tally: Progress, *, elapsed_s: float) -> str:
    """The line: how far, how many of each outcome, how fast, how long still."""
    share = tally.done / tally.found if tally.found else 1.0
    filled = int(share * WIDTH)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in tally.outcomes.items())
    rate = tally.copied_bytes / 1e6 / elapsed_s if elapsed_s else 0.0
    left_s = elapsed_s * (tally.found - tally.done) / tally.done if tally.done else 0.0
    line = "#" * filled + "." * (WIDTH - filled)
    return f"[{line}] {tally.done}/{tally.found}  {counts}  {rate:.1f} MB/s  {left_s:.0f} s left"
