"""A cached `.mod` while 50 fetches hang upstream, and while nothing else happens: the slowest answers of both."""

from __future__ import annotations

import http.client
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from benchmarks.peers import PACKAGES, Peer, Site
from benchmarks.report import Figure, Measured, Result, Sense
from benchmarks.sample_modules import BenchModule, write
from demonstration.console import Say
from demonstration.errors import DemoError
from localcluster import packages

NAME: Final = "stalled"
FETCHES: Final = 50
ROUNDS: Final = 5
REQUESTS: Final = 1_000
P99_RATIO: Final = 1.5
_CACHED: Final = BenchModule("bench.example.com/small", 18_000)
_SETTINGS: Final = {"ATHENS_SHUTDOWN_TIMEOUT": "1"}
_DEADLINE_S: Final = 60.0


class SilentUpstream:
    """Accepts connections and never answers; `url` is its address."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._connections: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def accept(self) -> None:
        """Take connections until the listener is shut down."""
        while True:
            try:
                self._connections.append(self._listener.accept()[0])
            except OSError:
                return

    def wait_for(self, count: int) -> None:
        """Return once so many requests wait here.

        Raises:
            DemoError: They did not come.
        """
        deadline = time.monotonic() + _DEADLINE_S
        while len(self._connections) < count:
            if time.monotonic() > deadline:
                raise DemoError(f"{len(self._connections)} of {count} fetches reached the silent upstream")
            time.sleep(0.02)

    def close(self) -> None:
        """Drop every connection."""
        for connection in self._connections:
            connection.close()


def measure(environ: Mapping[str, str], say: Say) -> list[Result]:
    """Both proxies are asked in turn, so that whatever else the machine does strikes both; the median round counts.

    Raises:
        DemoError: A server did not start, or answered with errors.
    """
    del environ
    packages.ensure(PACKAGES)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as running:
        site = Site(Path(folder), Path(folder) / "modules")
        write(site.modules, [_CACHED])
        silent = running.enter_context(_silent_upstream())
        # What nginx does not have is asked of the silent upstream, which is what stalls.
        chain = f"{running.enter_context(site.nginx()).url},{silent.url}"
        idle, busy = (
            running.enter_context(site.ours(chain, settings=_SETTINGS, kind=kind)) for kind in (" idle", " busy")
        )
        for peer in (idle, busy):
            peer.ask(_CACHED.target("mod"))
        running.enter_context(_stalled(busy))
        silent.wait_for(FETCHES)
        rounds = []
        for number in range(ROUNDS):
            say.passing(f"round {number + 1} of {ROUNDS}: {REQUESTS} requests to each")
            rounds.append(_in_turn_ms(idle, busy))
    return _results(rounds)


def _results(rounds: Sequence[tuple[list[float], list[float]]]) -> list[Result]:
    ratio = statistics.median(_p99(busy) / _p99(idle) for idle, busy in rounds)
    what = f"p99 of a cached .mod, {FETCHES} fetches stalled to idle"
    of_both = {"idle": [idle for idle, _ in rounds], "stalled": [busy for _, busy in rounds]}
    figures = [Figure(NAME, ".mod 1.5 kB", name, _medians(seen)) for name, seen in of_both.items()]
    return [Measured(NAME, what, ratio, Sense.AT_MOST, P99_RATIO), *figures]


def _medians(rounds: Sequence[Sequence[float]]) -> dict[str, float]:
    return {
        "p50 ms": statistics.median(statistics.median(took) for took in rounds),
        "p99 ms": statistics.median(_p99(took) for took in rounds),
    }


def _p99(took_ms: Sequence[float]) -> float:
    return statistics.quantiles(took_ms, n=100)[98]


@contextmanager
def _silent_upstream() -> Iterator[SilentUpstream]:
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        upstream = SilentUpstream(listener)
        accepting = threading.Thread(target=upstream.accept)
        accepting.start()
        try:
            yield upstream
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            upstream.close()


@contextmanager
def _stalled(peer: Peer) -> Iterator[None]:
    """Clients that wait for modules which never come."""
    with ExitStack() as clients:
        for number in range(FETCHES):
            client = clients.enter_context(socket.create_connection(peer.endpoint))
            target = f"/stalled.example.com/m{number}/@v/v1.0.0.zip"
            client.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        yield


def _in_turn_ms(*peers: Peer) -> tuple[list[float], list[float]]:
    """How long each answer took, asked alternately on one connection each."""
    connections = [http.client.HTTPConnection(*peer.endpoint, timeout=_DEADLINE_S) for peer in peers]
    took_ms: tuple[list[float], list[float]] = ([], [])
    for _ in range(REQUESTS):
        for connection, own in zip(connections, took_ms, strict=True):
            started = time.perf_counter()
            connection.request("GET", _CACHED.target("mod"))
            answer = connection.getresponse()
            answer.read()
            own.append((time.perf_counter() - started) * 1000)
            if answer.status != 200:
                raise DemoError(f"GET {_CACHED.target('mod')}: status {answer.status}")
    for connection in connections:
        connection.close()
    return took_ms
