"""Real processes of a test: started on a free port, watched while they start, ended by their own process group."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from support.forked import Child, can_fork, fork

TAIL_LINES = 40
STOP_DEADLINE_S = 15.0
LOG_DEADLINE_S = 30.0
POLL_S = 0.02


class ProcessFailed(AssertionError):
    """A process ended, or did not do what the test waits for; the text ends with the tail of its log."""


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
    child: Child
    log: Path

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.child.pid

    def logged(self) -> str:
        """Everything it has written so far."""
        return self.log.read_text(errors="replace")

    def until_logged(self, holds: Callable[[list[str]], bool], *, what: str) -> list[str]:
        """The lines of its log, once they are as wished; those of a proxy come up to 20 ms after the answers."""
        seen: list[str] = []

        def look() -> bool:
            whole, _, _ = self.logged().rpartition("\n")  # the last line may be half written
            seen[:] = whole.splitlines()
            return holds(seen)

        self.wait_until(look, what=what, deadline_s=LOG_DEADLINE_S)
        return seen

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
    name: str, argv: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, log: Path, own_image: bool = False
) -> Iterator[RunningProcess]:
    """A process in a session of its own that is gone when the context ends.

    Args:
        name: what it is, for messages.
        argv: the program and its arguments; ours are forked where that makes no difference (`support.forked`).
        env: its whole environment.
        cwd: its folder.
        log: where its output goes.
        own_image: for tests to which the difference matters: the program starts as its users start it.
    """
    with log.open("ab") as stream:
        child = begun([str(part) for part in argv], env=env, cwd=cwd, log=stream, own_image=own_image)
    process = RunningProcess(name, child, log)
    _running.append(process)
    try:
        yield process
    finally:
        _running.remove(process)
        process.stop()


def begun(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: IO[bytes], own_image: bool = False) -> Child:
    """The process of `started`, which the caller has to end."""
    if not own_image and can_fork(argv, env):
        return fork(argv, env=env, cwd=cwd, stdout=log.fileno(), stderr=log.fileno())
    return subprocess.Popen(
        argv,
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def ran(
    argv: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, timeout_s: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """One of our programs to its end, which must come by itself.

    Raises:
        subprocess.TimeoutExpired: it did not come.
    """
    words = [str(part) for part in argv]
    if not can_fork(words, env):
        return subprocess.run(
            words, env=dict(env), cwd=cwd, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = fork(words, env=env, cwd=cwd, stdout=out.fileno(), stderr=err.fileno())
        try:
            code = child.wait(timeout_s)
        finally:
            child.kill()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, code, out.read(), err.read())


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
