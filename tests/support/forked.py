"""Starts of our programs that cost a fork, instead of an interpreter and its imports: most of a second of a core.

Each process of the tests keeps one server for each program (`support.fork_server`). What a start depends on and a fork
does not renew is left to a real start: environment that the interpreter or its libraries read only when they begin.
Seen from outside a forked process has the arguments and the environment of its server, and it shares the seed of `hash`
with the others; tests to which that matters ask for a real start, too.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, Protocol

PROGRAMS: Final = ("athens_proxy", "athens_operator")
READ_AT_THE_BEGINNING: Final = ("PYTHON", "LANG", "LC_", "LD_", "MALLOC_", "GLIBC_", "OPENSSL_", "SSL_", "TZ", "UV_")
ANSWER_BYTES: Final = 64


class Child(Protocol):
    """What the tests use of a process, started one way or the other: as `subprocess.Popen` has it."""

    returncode: int | None

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


class ForkedChild:
    """A process that a fork server started.

    Args:
        answers: where the server tells what becomes of it.
    """

    def __init__(self, answers: socket.socket) -> None:
        self._answers = answers.detach()
        weakref.finalize(self, os.close, self._answers)
        self._ended = select.poll()
        self._ended.register(self._answers, select.POLLIN)
        self._reading = threading.Lock()
        self.returncode: int | None = None
        self.pid = self._told()

    def poll(self) -> int | None:
        """Its exit code, None while it runs; the negative number of the signal that ended it."""
        return self._ended_within(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended.

        Raises:
            subprocess.TimeoutExpired: it has not, in so many seconds.
        """
        code = self._ended_within(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        return code

    def send_signal(self, sig: int) -> None:
        """Send it a signal; nothing happens if it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def _ended_within(self, timeout_s: float | None) -> int | None:
        """Threads may wait side by side; one of them reads the answer."""
        if self.returncode is None and self._ended.poll(None if timeout_s is None else timeout_s * 1000):
            with self._reading:
                if self.returncode is None:
                    self.returncode = self._told()
        return self.returncode

    def _told(self) -> int:
        answer = os.read(self._answers, ANSWER_BYTES)
        assert answer, "the fork server has ended"
        return int(answer)


def can_fork(argv: Sequence[str], env: Mapping[str, str]) -> bool:
    """Whether this is one of our programs, and nothing needs an interpreter of its own."""
    if list(argv[:2]) != [sys.executable, "-m"] or argv[2] not in PROGRAMS:
        return False
    ours = _environment()
    early = [name for name in {*ours, *env} if name.startswith(READ_AT_THE_BEGINNING)]
    return all(ours.get(name, "") == env.get(name, "") for name in early)


def fork(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, stdout: int, stderr: int) -> ForkedChild:
    """Start a program in a session of its own, given as `[sys.executable, "-m", PROGRAM, ...]`, with nothing to read.

    Args:
        argv: it and its arguments.
        env: its whole environment.
        cwd: its folder.
        stdout: a descriptor to write to.
        stderr: the same for errors.
    """
    answers, told = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    request = {"argv": [*argv[3:]], "env": dict(env), "cwd": str(cwd)}
    with told, open(os.devnull, "rb") as nothing:
        descriptors = [nothing.fileno(), stdout, stderr, told.fileno()]
        with _starting:
            server = _server(argv[2])
        socket.send_fds(server, [json.dumps(request).encode()], descriptors)
    return ForkedChild(answers)


def _environment() -> dict[str, str]:
    """Of a server: what every test gives to its processes, and what says which code is tested."""
    return {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}


_starting = threading.Lock()


@cache
def _server(program: str) -> socket.socket:
    """Where to ask for processes of a program."""
    requests, served = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with served:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("fork_server.py")), program],
            env=_environment(),
            cwd="/",
            stdin=served.fileno(),
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    atexit.register(_end, process, requests)
    return requests


def _end(process: subprocess.Popen[bytes], requests: socket.socket) -> None:
    requests.close()
    process.wait()
