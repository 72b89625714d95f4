"""Fetches whose processes are killed at any moment, or that run out of time: nothing of them is left.

`ATHENS_TEST_FULL` makes a thousand of them.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from support.company import GIT, Company
from support.proxy_process import ModuleProxy, Settings

StartWith = Callable[[Callable[[Path], Settings]], ModuleProxy]
IS_FULL = bool(os.environ.get("ATHENS_TEST_FULL"))
FETCHES = 1000 if IS_FULL else 24
CLIENTS = 6
TIMEOUT_S = 4
FLAT_BYTES = 48 << 20  # what caches and the allocator may keep over any number of fetches
PATH = f"{GIT}/killed/many.git"
PAUSE_S = 0.05
DEADLINE_S = 120.0


def parents() -> dict[int, tuple[int, str]]:
    """Every process: its parent and its state."""
    found: dict[int, tuple[int, str]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError):
                state, parent = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[:2]
                found[int(entry)] = int(parent), state
    return found


def descendants(pid: int) -> dict[int, str]:
    """The processes below one, with their states."""
    known, wave = parents(), {pid}
    found: dict[int, str] = {}
    while wave:
        wave = {child for child, (parent, _) in known.items() if parent in wave}
        found |= {child: known[child][1] for child in wave}
    return found


def memory_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def killing(pid: int, *, seed: int) -> Iterator[Counter[str]]:
    """Now and then a process below this one is killed, at random; yields how many."""
    chance, stop, killed = random.Random(seed), threading.Event(), Counter[str]()

    def kill() -> None:
        while not stop.wait(chance.uniform(0, 8 * PAUSE_S)):
            below = sorted(descendants(pid))
            if below:
                with suppress(ProcessLookupError):
                    os.kill(chance.choice(below), signal.SIGKILL)
                    killed["all"] += 1

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


@pytest.mark.timeout(3600 if IS_FULL else 300)
def test_fetches_that_are_killed_leave_nothing_behind(company: Company, start: StartWith) -> None:
    """No process, no zombie, no folder; memory stays; every failure has its status, and all is there at the end."""
    many = company.host.repository(PATH)
    versions = [f"v1.0.{number}" for number in range(FETCHES)]
    many.module(PATH, *versions)
    settings = partial(company.settings, ATHENS_STASH_TIMEOUT=str(TIMEOUT_S))
    proxy = start(lambda folder: replace(settings(folder), own_image=True))  # its memory is looked at
    pid, folder = proxy.process.pid, proxy.store.parent

    def wait_until_served(version: str) -> None:
        """A busy machine may need more than one try within the time-out."""
        target = f"/{PATH}/@v/{version}.zip"
        proxy.process.wait_until(lambda: proxy.ask(target).status == 200, what="serving", deadline_s=DEADLINE_S)

    wait_until_served(versions[0])
    before, memory = left_in(folder), memory_bytes(pid)

    with killing(pid, seed=len(versions)) as killed, ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(lambda v: proxy.ask(f"/{PATH}/@v/{v}.zip"), versions[1:]))
    proxy.process.wait_until(lambda: not descendants(pid), what="without children", deadline_s=DEADLINE_S)
    grown = memory_bytes(pid) - memory
    for version in versions[-4:]:
        wait_until_served(version)

    assert killed["all"], "else nothing was tested"
    lies = {answer.text[-400:] for answer in answers if answer.status not in (200, 502, 504)}
    assert not lies, "absence would be a lie:\n" + "".join(lies)
    for what, is_so in (
        ("without a process that works in its folders", lambda: not strays(folder)),
        ("without anything beside what is stored", lambda: left_in(folder) <= before | {"clones"}),
    ):
        proxy.process.wait_until(is_so, what=what, deadline_s=DEADLINE_S)
    assert grown < FLAT_BYTES
    assert "Traceback" not in proxy.process.logged()


def left_in(folder: Path) -> set[str]:
    """What lies beside the stored modules, clones that the process shares among fetches as one name."""
    names = {path.relative_to(folder).as_posix() for root in ("tmp", "store", "home") for path in _top(folder / root)}
    return {"clones" if "athens-vcs" in name or "clones" in name else name for name in names if GIT not in name}


def _top(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        inner: list[Path] = []
        with suppress(FileNotFoundError, NotADirectoryError):  # somebody works here
            inner = list(path.iterdir()) if path.name.startswith(".") else []
        yield from [] if path.name == ".athens" else inner or [path]  # records of the store


def strays(folder: Path) -> list[str]:
    """Processes whose working directory is below the folder, but for the proxy itself."""
    found = []
    for pid in parents():
        with suppress(OSError):
            where = os.readlink(f"/proc/{pid}/cwd")
            if where.startswith(f"{folder}/"):
                found.append(f"{pid} in {where}")
    return found
