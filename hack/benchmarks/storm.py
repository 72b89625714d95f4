"""A hundred clients that all want the same 300 modules at once, half of which nobody asked for before."""

from __future__ import annotations

import asyncio
import os
import random
import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import uvloop

from benchmarks.load import LOAD_CORE
from benchmarks.peers import OURS, PACKAGES, Peer, Site
from benchmarks.report import Figure, Measured, Result, Sense
from benchmarks.sample_modules import BenchModule, write
from demonstration.console import Say
from demonstration.errors import DemoError
from localcluster import packages

NAME: Final = "storm"
CLIENTS: Final = 100
P99_MS: Final = 50.0
_MODULES: Final = [BenchModule(f"bench.example.com/storm{number:03}", 18_000) for number in range(300)]
_STORED: Final = _MODULES[::2]
_DEADLINE_S: Final = 240.0
_REQUEST: Final = re.compile(r'"GET (\S+) HTTP')
_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


@dataclass(frozen=True)
class Asked:
    """One request: whether its module was stored before, how long the answer took, and its status (0 for none)."""

    is_stored: bool
    took_s: float
    status: int


def measure(environ: Mapping[str, str], say: Say) -> list[Result]:
    """Errors, fetches per upstream file, and the 99th percentile of what was stored before.

    Raises:
        DemoError: A server did not start, or the clients did not come to an end.
    """
    del environ
    packages.ensure(PACKAGES)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as servers:
        site = Site(Path(folder), Path(folder) / "modules")
        write(site.modules, _MODULES)
        upstream = servers.enter_context(site.nginx(access_log=f"{folder}/asked.log"))
        proxy = servers.enter_context(site.ours(upstream.url))
        say.passing("storing every second module")
        proxy.fill(_STORED)
        say.passing(f"{CLIENTS} clients ask for {len(_MODULES)} modules each")
        started = time.monotonic()
        seen = _all_clients(proxy)
        took_s = time.monotonic() - started
        fetches = Counter(_REQUEST.findall(Path(folder, "asked.log").read_text()))
        return _results(seen, fetches, took_s, proxy)


def _results(seen: Sequence[Asked], fetches: Counter[str], took_s: float, proxy: Peer) -> list[Result]:
    files = [module.target(extension) for module in _MODULES for extension in ("info", "mod", "zip")]
    took_ms = {stored: [one.took_s * 1000 for one in seen if one.is_stored is stored] for stored in (True, False)}
    p99_ms = {stored: statistics.quantiles(took, n=100)[98] for stored, took in took_ms.items()}
    errors = sum(one.status != 200 for one in seen)
    return [
        Measured(NAME, f"errors in {len(seen):,} answers", errors, Sense.AT_MOST, 0),
        Measured(NAME, "most fetches of one upstream file", max(fetches[file] for file in files), Sense.AT_MOST, 1),
        Measured(NAME, "fewest fetches of one upstream file", min(fetches[file] for file in files), Sense.AT_LEAST, 1),
        Measured(NAME, "p99 of what was stored before", p99_ms[True], Sense.AT_MOST, P99_MS, "ms"),
        Figure(
            NAME,
            f"{CLIENTS} clients",
            OURS,
            {
                "s": took_s,
                "answers/s": len(seen) / took_s,
                "stored p50 ms": statistics.median(took_ms[True]),
                "stored p99 ms": p99_ms[True],
                "cold p99 ms": p99_ms[False],
                "peak MiB": proxy.peak_resident_mib,
            },
        ),
    ]


def _all_clients(proxy: Peer) -> list[Asked]:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    try:
        return uvloop.run(asyncio.wait_for(_together(proxy), _DEADLINE_S))
    except TimeoutError:
        raise DemoError(f"{CLIENTS} clients did not have their answers within {_DEADLINE_S:.0f} s") from None
    finally:
        os.sched_setaffinity(0, cores)


async def _together(proxy: Peer) -> list[Asked]:
    async with asyncio.TaskGroup() as group:
        clients = [group.create_task(_client(proxy, random.Random(number))) for number in range(CLIENTS)]
    return [asked for client in clients for asked in client.result()]


async def _client(proxy: Peer, order: random.Random) -> list[Asked]:
    """Every file of every module, as the go command asks for them, in an order of its own."""
    stored, seen = set(_STORED), []
    _, connection = await asyncio.get_running_loop().create_connection(_Connection, *proxy.endpoint)
    for module in order.sample(_MODULES, len(_MODULES)):
        for extension in ("info", "mod", "zip"):
            started = time.perf_counter()
            status = await connection.get(module.target(extension))
            seen.append(Asked(module in stored, time.perf_counter() - started, status))
    connection.close()
    return seen


class _Connection(asyncio.Protocol):
    """One request after the other; a library's client would need more of the core than the server does."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._missing_bytes = 0
        self._answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is written to."""
        self._transport = cast(asyncio.Transport, transport)

    async def get(self, target: str) -> int:
        """The status of the answer, 0 when the connection ended."""
        self._received.clear()
        self._missing_bytes = -1
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return await self._answer

    def close(self) -> None:
        """End the connection."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Wait for the whole answer."""
        self._received += data
        if self._missing_bytes < 0 and (end := self._received.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._received, 0, end + 2)
            self._missing_bytes = end + 4 + int(length.group(1)) if length else end + 4
        if 0 <= self._missing_bytes <= len(self._received) and not self._answer.done():
            self._answer.set_result(int(self._received[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits gets no answer."""
        if not self._answer.done():
            self._answer.set_result(0)
