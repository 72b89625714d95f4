"""Cached zips that are bigger than any buffer, in bytes per second, with a reader that has stalled beside them."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from benchmarks.peers import ATHENS, GOPROXY, NGINX, OURS, PACKAGES, Peer, Site
from benchmarks.report import Measured, Result, Sense
from benchmarks.rows import Load, figures, in_turns, ratios
from benchmarks.sample_modules import BenchModule, write
from demonstration.console import Say
from localcluster import packages

NAME: Final = "large"
STALLED_READERS: Final = 20
RESIDENT_MIB: Final = 96.0
_BIG: Final = BenchModule("bench.example.com/big", 9_200_000)
_HUGE: Final = BenchModule("bench.example.com/huge", 300_000_000)
_BARS: Final = {ATHENS: 1.0, GOPROXY: 1.0, NGINX: 1.0}
LOADS: Final = (
    Load("cached zip 9 MB", _BIG.target("zip"), _BARS, is_volume=True),
    Load("cached zip 300 MB", _HUGE.target("zip"), _BARS, connections=4, seconds=3, is_volume=True),
)


def measure(environ: Mapping[str, str], say: Say) -> list[Result]:
    """Bytes per second of every server; then our memory while readers of a huge zip take nothing.

    Raises:
        DemoError: A server did not start, could not be filled, or answered with errors.
    """
    del environ
    packages.ensure(PACKAGES)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as servers:
        site = Site(Path(folder), Path(folder) / "modules")
        write(site.modules, [_BIG, _HUGE])
        nginx = servers.enter_context(site.nginx())
        started = [nginx, *(servers.enter_context(run(nginx.url)) for run in (site.goproxy, site.athens, site.ours))]
        peers = {peer.name: peer for peer in started}
        for peer in started:
            say.passing(f"filling {peer.name}")
            peer.fill([_BIG, _HUGE])
        with _stalled_readers(peers[OURS]):
            runs = in_turns(peers, LOADS, say)
        what = f"peak resident memory with {STALLED_READERS} stalled readers of 300 MB"
        memory = Measured(NAME, what, peers[OURS].peak_resident_mib, Sense.AT_MOST, RESIDENT_MIB, "MiB")
        return [*ratios(NAME, LOADS, runs), memory, *figures(NAME, LOADS, runs, peers)]


@contextmanager
def _stalled_readers(peer: Peer) -> Iterator[None]:
    with ExitStack() as readers:
        for _ in range(STALLED_READERS):
            reader = readers.enter_context(socket.create_connection(peer.endpoint))
            reader.sendall(f"GET {_HUGE.target('zip')} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            reader.recv(1)
        yield
