"""Numbered steps with their elapsed time: a spinner on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.markup import escape

Say = Callable[[str], None]

_SIGN_OF_LIFE_S: Final = 10.0
_NAME_WIDTH: Final = 64
_DETAIL_LENGTH: Final = 60


class Steps:
    """Counts and times the steps of one run."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._count = 0

    def line(self, text: str = "") -> None:
        """One line for the person who waits, as it is."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def step(self, name: str) -> Iterator[Say]:
        """Time a step; what the block says is shown beside its name while it runs."""
        self._count += 1
        title = f"{self._count}. {name}"
        started = time.monotonic()
        outcome = "[red]failed[/]"
        alive = self._spinner if self._console.is_terminal else self._plain
        try:
            with alive(title, started) as say:
                yield say
            outcome = "    [green]ok[/]"
        finally:
            elapsed = time.monotonic() - started
            self._console.print(f"{escape(title):<{_NAME_WIDTH}} {outcome} {elapsed:6.1f} s", highlight=False)

    @contextmanager
    def _spinner(self, title: str, started: float) -> Iterator[Say]:
        detail = ""

        def say(text: str) -> None:
            nonlocal detail
            detail = text.strip()[:_DETAIL_LENGTH]

        with (
            self._console.status(escape(title)) as status,
            _every(1.0, lambda: status.update(escape(f"{title} … {time.monotonic() - started:.0f} s  {detail}"))),
        ):
            yield say

    @contextmanager
    def _plain(self, title: str, started: float) -> Iterator[Say]:
        with _every(_SIGN_OF_LIFE_S, lambda: self.line(f"{title} … {time.monotonic() - started:.0f} s")):
            yield lambda text: self.line(f"     {text.strip()}")


@contextmanager
def _every(period_s: float, act: Callable[[], None]) -> Iterator[None]:
    """Act at a steady pace, in a thread, while the context lasts."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(period_s):
            act()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
