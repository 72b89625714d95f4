"""Ports for servers of tests: no two processes of tests that run side by side ever get the same one.

A port that the kernel chooses is free only until somebody binds it, and thousands of servers are started in a run, by
several processes at a time: then a client of one test speaks to the server of another. So each process has a hundred
ports of its own, below those that the kernel hands to clients.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import socket
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import IO, Final

FIRST: Final = 12_000
EACH: Final = 100
PROCESSES: Final = 80  # control planes look for theirs from 20,000 on


def free_port() -> int:
    """A loopback port of this process' own on which nobody listens."""
    _, ports = _share(os.getpid())
    for port in itertools.islice(ports, EACH):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"all {EACH} ports of this process are in use")


@cache
def _share(pid: int) -> tuple[IO[str], Iterator[int]]:
    """The lock that keeps the ports ours while this process lives, and they, again and again."""
    folder = Path(tempfile.gettempdir()) / f"athens-operator-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for number in range(PROCESSES):
        lock = (folder / str(number)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        first = FIRST + number * EACH
        return lock, itertools.cycle(range(first, first + EACH))
    raise AssertionError(f"{PROCESSES} processes of tests run already, says {folder} to {pid}")
