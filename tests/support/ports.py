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
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import IO, Final

FIRST: Final = 12_000
EACH: Final = 100
PROCESSES: Final = 80  # control planes have theirs from 20,000 on


def own_number() -> int:
    """A number below `PROCESSES` that no other process of tests has while this one lives."""
    return _share(os.getpid())[1]


def free_port() -> int:
    """A loopback port of this process' own on which nobody listens."""
    for port in itertools.islice(_ports(own_number()), EACH):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"all {EACH} ports of this process are in use")


@cache
def _ports(number: int) -> Iterator[int]:
    """The ports of a process, again and again."""
    first = FIRST + number * EACH
    return itertools.cycle(range(first, first + EACH))


@cache
def _share(pid: int) -> tuple[IO[str], int]:
    """The lock that keeps a number ours while this process lives, and the number."""
    folder = Path("/tmp") / f"athens-operator-ports-{os.getuid()}"  # one place, whatever is temporary for a tier
    folder.mkdir(exist_ok=True)
    for number in range(PROCESSES):
        lock = (folder / str(number)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        return lock, number
    raise AssertionError(f"{PROCESSES} processes of tests run already, says {folder} to {pid}")
