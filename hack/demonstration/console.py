"""Numbered steps with their elapsed time: a spinner on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.markup import escape

_SIGN_OF_LIFE_S: Final = 10.0
_NAME_WIDTH: Final = 64
_SPINNER_WIDTH: Final = 3


@dataclass(frozen=True)
class Say:
    """How a step speaks while it runs.

    Attributes:
        passing: Shows what is going on; a terminal forgets it when the step ends.
        fact: Says something that is worth keeping.
    """

    passing: Callable[[str], None]
    fact: Callable[[str], None]


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

        def show(text: str) -> None:
            nonlocal detail
            detail = " ".join(text.split())

        def tick() -> None:
            shown = f"{title} … {time.monotonic() - started:.0f} s  {detail}"
            status.update(escape(shown[: self._console.width - _SPINNER_WIDTH]))

        with self._console.status(escape(title)) as status, _every(1.0, tick):
            yield Say(passing=show, fact=self._indented)

    @contextmanager
    def _plain(self, title: str, started: float) -> Iterator[Say]:
        with _every(_SIGN_OF_LIFE_S, lambda: self.line(f"{title} … {time.monotonic() - started:.0f} s")):
            yield Say(passing=self._indented, fact=self._indented)

    def _indented(self, text: str) -> None:
        self.line(f"     {text.strip()}")


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
