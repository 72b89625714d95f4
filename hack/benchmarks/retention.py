"""A store with a bound under five times as much as it may hold: its size, its hits, and what the ledger costs.

Four requests of five are for a fifth of the modules. Hits are compared with those of a simulated LRU cache of the same
size under the same requests. `RETENTION=full` takes 1 GB and 5 GB instead of a tenth of that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import re
import statistics
import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from benchmarks.load import run
from benchmarks.peers import PACKAGES, Peer, Site
from benchmarks.report import Figure, Measured, Result, Sense
from benchmarks.sample_modules import BenchModule, write
from benchmarks.warm import SMALL
from demonstration.console import Say
from demonstration.errors import DemoError
from localcluster import packages
from support.day_of_traffic import DayOfTraffic

NAME: Final = "retention"
CAP_BYTES: Final = 100_000_000
FULL_CAP_BYTES: Final = 1_000_000_000
OVERLOAD: Final = 5
MODULES: Final = 1_000
REQUESTS: Final = 4_000
AT_ONCE: Final = 4
ROUNDS: Final = 10
SECONDS: Final = 2
MAX_RATIO: Final = 1.05
MAX_POINTS: Final = 5.0
MIN_LEDGER: Final = 0.98
MAX_GROWTH_MIB: Final = 4.0
_OVERHEAD_BYTES: Final = 2_000  # of `.info`, `.mod` and records of a version, evicted or not
_LOOK_EVERY: Final = 50


def measure(environ: Mapping[str, str], say: Say) -> list[Result]:
    """The bars of a bounded store.

    Raises:
        DemoError: A server did not start, or a request failed.
    """
    packages.ensure(PACKAGES)
    cap_bytes = FULL_CAP_BYTES if environ.get("RETENTION") == "full" else CAP_BYTES
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as running:
        site = Site(Path(folder), Path(folder) / "modules", cores="0,1")
        modules = list(_modules(cap_bytes * OVERLOAD))
        say.passing(f"writing {sum(module.zip_bytes for module in modules) / 1e6:,.0f} MB of modules")
        write(site.modules, [*modules, SMALL])
        nginx = running.enter_context(site.nginx())
        return [
            *_bounded(site, nginx, modules, cap_bytes, say),
            *_ledger(running, site, nginx, say),
            *asyncio.run(_memory(say)),
        ]


def _modules(total_bytes: int) -> Iterator[BenchModule]:
    sizes = random.Random(5)
    mean = total_bytes // MODULES
    for number in range(MODULES):
        yield BenchModule(f"bench.example.com/m{number:04}", sizes.randint(mean // 4, mean * 7 // 4))


def _requests(modules: Sequence[BenchModule]) -> list[BenchModule]:
    chance, popular = random.Random(80), len(modules) // 5
    return [
        chance.choice(modules[:popular]) if chance.random() < 0.8 else chance.choice(modules[popular:])
        for _ in range(REQUESTS)
    ]


def _bounded(site: Site, nginx: Peer, modules: Sequence[BenchModule], cap_bytes: int, say: Say) -> list[Result]:
    requests = _requests(modules)
    with site.ours(nginx.url, settings={"ATHENS_RETENTION_MAX_BYTES": str(cap_bytes)}, kind=" bounded") as peer:
        before_s = peer.cpu_s
        greatest_bytes, failures = asyncio.run(_asked(peer, site.store(peer.name), requests, say))
        misses = _metric(peer, r'proxy_upstream_fetch_total\{fetch_result="success"\}')
        evictions = _metric(peer, r'athens_evictions_total\{reason="bytes"\}')
        cpu_ms = (peer.cpu_s - before_s) / len(requests) * 1000
    hits, simulated = 1 - misses / len(requests), _lru_hits(requests, cap_bytes)
    what = f"{cap_bytes / 1e6:,.0f} MB of {OVERLOAD * cap_bytes / 1e6:,.0f} MB"
    return [
        Measured(NAME, f"{what}: size to bound, at its greatest", greatest_bytes / cap_bytes, Sense.AT_MOST, MAX_RATIO),
        Measured(NAME, f"{what}: hits below LRU", (simulated - hits) * 100, Sense.AT_MOST, MAX_POINTS, "points"),
        Measured(NAME, f"{what}: failed requests", failures, Sense.AT_MOST, 0),
        Figure(
            NAME,
            what,
            peer.name,
            {"hits %": hits * 100, "LRU %": simulated * 100, "evictions": evictions, "CPU ms/request": cpu_ms},
        ),
    ]


async def _asked(peer: Peer, store: Path, requests: Sequence[BenchModule], say: Say) -> tuple[int, int]:
    """The greatest size of the store that was seen, and how many requests failed."""
    waiting = iter(enumerate(requests))
    greatest_bytes = failures = 0

    async def client() -> None:
        nonlocal greatest_bytes, failures
        for number, module in waiting:
            try:
                await asyncio.to_thread(peer.ask, module.target("zip"))
            except DemoError:
                failures += 1
            if number % _LOOK_EVERY == 0:
                greatest_bytes = max(greatest_bytes, await asyncio.to_thread(_stored_bytes, store))
                say.passing(f"request {number} of {len(requests)}")

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return max(greatest_bytes, _stored_bytes(store)), failures


def _stored_bytes(store: Path) -> int:
    """All files below the store but those of fetches under way; files come and go meanwhile."""
    total = 0
    for folder, folders, names in os.walk(store):
        if "tmp" in folders:
            folders.remove("tmp")
        for name in names:
            with suppress(FileNotFoundError):
                total += os.stat(f"{folder}/{name}").st_size
    return total


def _lru_hits(requests: Sequence[BenchModule], cap_bytes: int) -> float:
    """The share of hits of a cache that forgets what was used least lately, and nothing else."""
    held: OrderedDict[str, int] = OrderedDict()
    held_bytes = hits = 0
    seen: set[str] = set()
    for module in requests:
        seen.add(module.path)
        if module.path in held:
            held.move_to_end(module.path)
            hits += 1
            continue
        held[module.path] = module.zip_bytes
        held_bytes += module.zip_bytes
        while held_bytes + len(seen) * _OVERHEAD_BYTES > cap_bytes:
            held_bytes -= held.popitem(last=False)[1]
    return hits / len(requests)


def _metric(peer: Peer, pattern: str) -> float:
    found = re.search(rf"^{pattern} ([\d.e+]+)$", peer.ask("/metrics").decode(), re.MULTILINE)
    if found is None:
        raise DemoError(f"{peer.name}: /metrics has no {pattern}")
    return float(found[1])


def _ledger(running: ExitStack, site: Site, nginx: Peer, say: Say) -> list[Result]:
    """Requests per CPU second for a cached zip, with a ledger and without; the median of neighbours in time."""
    own = Site(site.folder, site.modules)
    bound = {"ATHENS_RETENTION_MAX_BYTES": str(FULL_CAP_BYTES)}
    peers = [
        running.enter_context(own.ours(nginx.url, settings=settings, kind=kind))
        for settings, kind in (({}, " without ledger"), (bound, " with ledger"))
    ]
    rates: tuple[list[float], list[float]] = ([], [])
    for peer in peers:
        peer.fill([SMALL])
    for number in range(ROUNDS):
        order = (0, 1) if number % 2 else (1, 0)
        for which in order:
            say.passing(f"round {number + 1} of {ROUNDS}: {peers[which].name}")
            ran = run(peers[which], SMALL.target("zip"), seconds=SECONDS)
            rates[which].append(ran.requests_per_s / ran.cpu_s)
    ratio = statistics.median(with_ledger / without for without, with_ledger in zip(*rates, strict=True))
    what = "cached zip 18 kB"
    promise = f"{what}: requests per CPU second, with a ledger to without"
    figures = [
        Figure(NAME, what, peer.name, {"requests/CPU s": statistics.median(seen)})
        for peer, seen in zip(peers, rates, strict=True)
    ]
    return [Measured(NAME, promise, ratio, Sense.AT_LEAST, MIN_LEDGER), *figures]


async def _memory(say: Say) -> list[Result]:
    """Resident memory over 24 simulated hours of traffic on a bounded store."""
    logging.getLogger("athens_proxy.retention").setLevel(logging.WARNING)
    day = DayOfTraffic(versions=10_000, room_for=2_000)
    resident: list[float] = []

    def on_hour() -> None:
        resident.append(_resident_mib())
        say.passing(f"simulated hour {len(resident)} of 24")

    await day.run(hours=24, requests=150_000, on_hour=on_hour)
    figures = {"hits %": 100 * day.hits / day.requests, "evictions": day.evictions, "MiB at the end": resident[-1]}
    return [
        Measured(
            NAME, "memory, hour 24 above hour 6", resident[-1] - resident[5], Sense.AT_MOST, MAX_GROWTH_MIB, "MiB"
        ),
        Figure(NAME, "24 hours, 150,000 requests", "simulated", figures),
    ]


def _resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / (1 << 20)
