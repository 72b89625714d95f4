"""Ten zips of 300 MB that an empty proxy gets and gives away at once, one of its readers stalled: its memory."""

from __future__ import annotations

import socket
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.peers import OURS, PACKAGES, Peer, Site
from benchmarks.report import Figure, Measured, Result, Sense
from benchmarks.sample_modules import BenchModule, write
from demonstration.console import Say
from demonstration.errors import DemoError
from localcluster import packages

NAME: Final = "cold-large"
RESIDENT_MIB: Final = 192.0
AT_ONCE: Final = 10
_ZIP_BYTES: Final = 300_000_000
_READ_BYTES: Final = 1 << 20
_DEADLINE_S: Final = 120.0


def measure(environ: Mapping[str, str], say: Say) -> list[Result]:
    """The most memory that this proxy ever had resident.

    Raises:
        DemoError: A server did not start, or a zip did not arrive whole.
    """
    del environ
    packages.ensure(PACKAGES)
    modules = [BenchModule(f"bench.example.com/huge{number}", _ZIP_BYTES) for number in range(AT_ONCE)]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        site = Site(Path(folder), Path(folder) / "modules")
        for module in modules:
            say.passing(f"making {module.path}")
            write(site.modules, [module])
        with site.nginx() as upstream, site.ours(upstream.url) as peer:
            say.passing(f"fetching {AT_ONCE} zips of {_ZIP_BYTES // 1_000_000} MB")
            begin_s = time.monotonic()
            with _stalled_reader(peer, modules[0]), ThreadPoolExecutor(AT_ONCE) as readers:
                received = list(readers.map(lambda module: _received_bytes(peer, module), modules))
            took_s = time.monotonic() - begin_s
            wanted = [(site.modules / module.target("zip")[1:]).stat().st_size for module in modules]
            if received != wanted:
                raise DemoError(f"{peer.name}: GET of {AT_ONCE} zips: {received} bytes came, {wanted} were expected")
            what = f"peak resident memory, {AT_ONCE} zips of 300 MB cold at once"
            rate = sum(wanted) / took_s / (1 << 20)
            return [
                Measured(NAME, what, peer.peak_resident_mib, Sense.AT_MOST, RESIDENT_MIB, "MiB"),
                Figure(NAME, what, OURS, {"s": took_s, "MiB/s": rate, "CPU s": peer.cpu_s}),
            ]


@contextmanager
def _stalled_reader(peer: Peer, module: BenchModule) -> Iterator[None]:
    """Asks for a zip and takes nothing of it."""
    with socket.create_connection(peer.endpoint) as reader:
        reader.sendall(f"GET {module.target('zip')} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        yield


def _received_bytes(peer: Peer, module: BenchModule) -> int:
    size_bytes = 0
    try:
        with urllib.request.urlopen(peer.url + module.target("zip"), timeout=_DEADLINE_S) as answer:
            while chunk := answer.read(_READ_BYTES):
                size_bytes += len(chunk)
    except OSError as error:
        raise DemoError(f"{peer.name}: GET {module.target('zip')}: {error}") from error
    return size_bytes
