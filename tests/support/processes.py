"""Real processes of a test: started on a free port, watched while they start, ended by their own process group."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TAIL_LINES = 40
STOP_DEADLINE_S = 15.0
POLL_S = 0.02


class ProcessFailed(AssertionError):
    """A process ended, or did not do what the test waits for; the text ends with the tail of its log."""


def free_port() -> int:
    """A loopback port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def inherited(*names: str) -> dict[str, str]:
    """The named variables of this process that are set; everything else a child must be given."""
    return {name: os.environ[name] for name in names if name in os.environ}


@dataclass(frozen=True)
class RunningProcess:
    """A started process and its log (standard output and error together).

    Attributes:
        name: what the process is, for messages.
        child: the process itself.
        log: the file both its streams go to.
    """

    name: str
    child: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.child.pid

    def logged(self) -> str:
        """Everything it has written so far."""
        return self.log.read_text(errors="replace")

    def tail(self) -> str:
        """The last lines it has written, for failure messages."""
        lines = self.logged().splitlines()[-TAIL_LINES:]
        return "\n".join([f"--- {self.name}, last {len(lines)} lines ---", *lines])

    def wait_until(self, ready: Callable[[], bool], *, what: str, deadline_s: float) -> None:
        """Return as soon as `ready` says so.

        Raises:
            ProcessFailed: the process ended or the deadline passed first.
        """
        deadline = time.monotonic() + deadline_s
        while not ready():
            code = self.child.poll()
            if code is not None:
                raise ProcessFailed(f"{self.name} ended with {code} before it was {what}\n{self.tail()}")
            if time.monotonic() > deadline:
                raise ProcessFailed(f"{self.name} was not {what} within {deadline_s:g} s\n{self.tail()}")
            _pause()

    def stop(self) -> int:
        """Ask it to end, insist after a while; returns its exit code."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGKILL)
        return self.child.wait()


@contextmanager
def started(
    name: str, argv: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, log: Path
) -> Iterator[RunningProcess]:
    """A process in a session of its own that is gone when the context ends."""
    with log.open("ab") as stream:
        child = subprocess.Popen(
            [str(part) for part in argv],
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    process = RunningProcess(name, child, log)
    _running.append(process)
    try:
        yield process
    finally:
        _running.remove(process)
        process.stop()


_running: list[RunningProcess] = []


def running_now() -> list[RunningProcess]:
    """Every process that a test or a fixture has started and not yet stopped."""
    return list(_running)


def _pause() -> None:
    """Give the other process a moment; used between two looks at a condition, never instead of one."""
    time.sleep(POLL_S)


def accepts_connections(port: int) -> bool:
    """Whether something listens on this loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
