"""Several processes on one port: a supervisor that serves nothing, and children that share port and store.

The kernel spreads connections over the children (SO_REUSEPORT). What they share beside the store is a folder of this
start: locks, so that a version is fetched once, and a socket for each child, so that metrics are those of all.

Signals: the first SIGTERM or SIGINT stops all children, which let their requests finish; the second one ends everything
at once. A child that ends by itself is replaced, unless it never came so far as to serve: then the start has failed.
Children whose supervisor was killed stop by themselves.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from athens_proxy.errors import CannotStart

RESTART_PAUSE_S: Final = 1.0
_STOPS: Final = (signal.SIGTERM, signal.SIGINT)
_WATCHED: Final = (*_STOPS, signal.SIGCHLD)
_PR_SET_PDEATHSIG: Final = 1
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sibling:
    """One of the children.

    Attributes:
        number: from 0.
        count: of all of them.
        folder: what they share beside the store; it goes with the supervisor.
        folder_descriptor: the same, open: names of sockets must be short.
        port: where all of them listen.
        ready: a descriptor to write to once this one serves.
    """

    number: int
    count: int
    folder: Path
    folder_descriptor: int
    port: int
    ready: int

    @property
    def own_socket(self) -> Path:
        """Where this one tells its metrics."""
        return self._socket(self.number)

    @property
    def other_sockets(self) -> list[Path]:
        """Where the others do."""
        return [self._socket(number) for number in range(self.count) if number != self.number]

    def _socket(self, number: int) -> Path:
        return Path(f"/proc/self/fd/{self.folder_descriptor}/{number}.metrics")

    def is_serving(self) -> None:
        """Tell the supervisor that this child came so far."""
        os.write(self.ready, b"1")


Serve = Callable[[Sibling], int]


def supervise(count: int, *, host: str, port: int, serve: Serve) -> int:
    """Run `serve` in so many processes until they are told to stop; returns the exit status.

    Raises:
        CannotStart: the port is taken or is not ours.
    """
    with ExitStack() as held:
        port = held.enter_context(_reserved(host, port))
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="athens-processes-")))
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        try:
            supervisor = _Supervisor(count, folder, port, serve)
            status = supervisor.run()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if supervisor.last_signal:
        signal.signal(supervisor.last_signal, signal.SIG_DFL)
        os.kill(os.getpid(), supervisor.last_signal)
    return status


@dataclass(slots=True)
class _Child:
    number: int
    ready: int

    def has_served(self) -> bool:
        """Whether it ever came so far; asked once it has ended."""
        return os.read(self.ready, 1) != b""


class _Supervisor:
    def __init__(self, count: int, folder: Path, port: int, serve: Serve) -> None:
        self._count = count
        self._folder = folder
        self._folder_descriptor = os.open(folder, os.O_PATH)
        self._port = port
        self._serve = serve
        self._children: dict[int, _Child] = {}
        self._due: dict[int, float] = {}  # numbers to start again, and when
        self._is_stopping = False
        self._status = 0
        self.last_signal = 0  # the second one, which ended everything

    def run(self) -> int:
        for number in range(self._count):
            self._start(number)
        while self._children or self._due:
            wait_s = min([at for at in self._due.values()], default=time.monotonic() + 3600) - time.monotonic()
            seen = signal.sigtimedwait(_WATCHED, max(0.0, wait_s))
            if seen is not None and seen.si_signo in _STOPS:
                self._stop(seen.si_signo)
            self._reap()
            for number in [number for number, at in self._due.items() if at <= time.monotonic()]:
                del self._due[number]
                self._start(number)
        return self._status

    def _start(self, number: int) -> None:
        ready, tell = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        supervisor = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(ready)
            shared = self._folder, self._folder_descriptor, self._port
            _end_with_status(self._serve, Sibling(number, self._count, *shared, tell), supervisor)
        os.close(tell)
        self._children[pid] = _Child(number, ready)

    def _stop(self, number: int) -> None:
        if self._is_stopping:
            self.last_signal = number
        self._is_stopping = True
        self._due.clear()
        for pid in self._children:
            os.kill(pid, signal.SIGTERM)

    def _reap(self) -> None:
        for pid, status in _ended():
            child = self._children.pop(pid, None)
            if child is None:
                continue
            code = os.waitstatus_to_exitcode(status)
            has_served = child.has_served()
            os.close(child.ready)
            if self._is_stopping:
                self._status = max(self._status, code if code >= 0 else 1)
            elif has_served:
                _LOG.error("process %d of %d ended with %d; starting another one", child.number, self._count, code)
                self._due[child.number] = time.monotonic() + RESTART_PAUSE_S
            else:
                self._status = code if code > 0 else 1
                self._stop(signal.SIGTERM)


def _ended() -> Iterator[tuple[int, int]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        yield pid, status


def _end_with_status(serve: Serve, sibling: Sibling, supervisor: int) -> None:
    """Serve in this child, and never come back to what the supervisor was doing."""
    status = 1
    try:
        os.setpgid(0, 0)  # what a terminal sends to its whole group comes from the supervisor, once
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        if os.getppid() == supervisor:  # else it was killed before it was watched
            status = serve(sibling)
    except Exception:  # noqa: BLE001 - the outermost edge of this process
        _LOG.exception("process %d ended in a way that nobody foresaw", sibling.number)
    finally:
        logging.shutdown()
        os._exit(status)


@contextmanager
def _reserved(host: str, port: int) -> Iterator[int]:
    """The port, ours alone: no stranger of this user can join it by accident, and it stays while children restart."""
    with ExitStack() as sockets:
        try:
            for family, _, _, _, address in socket.getaddrinfo(
                host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            ):
                if not host and not _is_on(family, str(address[0])):
                    continue
                with _bound(family, str(address[0]), port, is_shared=False) as probe:  # refused if anybody listens
                    port = probe.getsockname()[1]
                sockets.enter_context(_bound(family, str(address[0]), port, is_shared=True))
        except OSError as error:
            raise CannotStart(f"listen on {host}:{port}: {(error.strerror or str(error)).lower()}") from error
        yield port


def _is_on(family: socket.AddressFamily, host: str) -> bool:
    """Whether this machine has addresses of the family; many have no IPv6."""
    try:
        _bound(family, host, 0, is_shared=False).close()
    except OSError as error:
        return error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return True


def _bound(family: socket.AddressFamily, host: str, port: int, *, is_shared: bool) -> socket.socket:
    taken = socket.socket(family, socket.SOCK_STREAM)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        taken.bind((host, port))
    except OSError:
        taken.close()
        raise
    return taken
