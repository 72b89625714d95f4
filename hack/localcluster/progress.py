"""Says what is going on, and for how long, on standard error; standard output is for results."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from localcluster.errors import ClusterError

_SIGN_OF_LIFE_S = 10.0


def say(text: str) -> None:
    """One line for the person who waits."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Time a step: a sign of life while it runs, one line with its duration at its end."""
    started = time.monotonic()
    over = threading.Event()
    terminal = sys.stderr.isatty()

    def tick() -> None:
        while not over.wait(1.0 if terminal else _SIGN_OF_LIFE_S):
            text = f"  {name} … {time.monotonic() - started:.0f} s"
            print(f"\r{text}" if terminal else text, end="" if terminal else "\n", file=sys.stderr, flush=True)

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    outcome = "failed"
    try:
        yield
        outcome = "ok"
    finally:
        over.set()
        ticker.join()
        clear = "\r\x1b[K" if terminal else ""
        say(f"{clear}  {name:<44} {outcome:>6} {time.monotonic() - started:6.1f} s")


def wait_until(condition: Callable[[], bool], what: str, deadline_s: float, evidence: Callable[[], str]) -> None:
    """Poll until the condition holds.

    Args:
        condition: Asked every 50 ms; it may raise ClusterError to give up early.
        what: Finishes the sentence "waited for …".
        deadline_s: Seconds before giving up.
        evidence: Called once on failure; says why, for instance the end of a log.

    Raises:
        ClusterError: The condition did not hold in time.
    """
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise ClusterError(f"waited {deadline_s:.0f} s for {what} in vain\n{evidence()}")
        time.sleep(0.05)
