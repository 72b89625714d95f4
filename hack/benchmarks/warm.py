"""Cached files, one core for the server and one for the load: this proxy, Athens, goproxy and nginx in turns."""

from __future__ import annotations

import base64
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.load import Run, median, run
from benchmarks.peers import ATHENS, GOPROXY, NGINX, OURS, PACKAGES, Peer, Site
from benchmarks.report import Figure, Measured, Result, Sense
from benchmarks.sample_modules import BenchModule, write
from demonstration.console import Say
from localcluster import packages

NAME: Final = "warm"
ROUNDS: Final = 3
SECONDS: Final = 2
RESIDENT_MIB: Final = 96.0
_SMALL: Final = BenchModule("bench.example.com/small", 18_000)
_MIDDLE: Final = BenchModule("bench.example.com/middle", 232_000)
_BIG: Final = BenchModule("bench.example.com/big", 9_200_000)
_MODULES: Final = [_SMALL, _MIDDLE, _BIG]
_CREDENTIALS: Final = base64.b64encode(b"gopher:secret").decode()
_LOUD: Final = {"ATHENS_LOG_LEVEL": "info", "ATHENS_LOG_FORMAT": "json", "ATHENS_STATS_EXPORTER": "prometheus"}
_GUARDED: Final = {"BASIC_AUTH_USER": "gopher", "BASIC_AUTH_PASS": "secret"}


@dataclass(frozen=True)
class Load:
    """One row of the table.

    Attributes:
        name: For people.
        target: What is asked for.
        bars: The least ratio to each peer; best of all peers for `best`.
        kind: Which settings the servers have, "" for the quietest.
        headers: Of every request.
    """

    name: str
    target: str
    bars: Mapping[str, float]
    kind: str = ""
    headers: tuple[tuple[str, str], ...] = ()


_CACHED: Final = {ATHENS: 4.0, GOPROXY: 2.5, NGINX: 0.9}
_AUTH, _JSON_LOG = " with basic auth", " with metrics and JSON log"
LOADS: Final = (
    Load(".info", _SMALL.target("info"), _CACHED),
    Load(".mod 1.5 kB", _SMALL.target("mod"), _CACHED),
    Load("zip 18 kB", _SMALL.target("zip"), _CACHED),
    Load("zip 232 kB", _MIDDLE.target("zip"), {ATHENS: 3.0, GOPROXY: 1.2, NGINX: 0.9}),
    Load("zip 9 MB", _BIG.target("zip"), {ATHENS: 1.0, GOPROXY: 1.0, NGINX: 1.0}),
    Load(
        f".info{_AUTH}",
        _SMALL.target("info"),
        {ATHENS: 2.5},
        kind=_AUTH,
        headers=(("Authorization", f"Basic {_CREDENTIALS}"),),
    ),
    Load(f".info{_JSON_LOG}", _SMALL.target("info"), {ATHENS: 2.5}, kind=_JSON_LOG),
)


def measure(environ: Mapping[str, str], say: Say) -> list[Result]:
    """Requests per second of every server on every load, three rounds in turns, medians.

    Raises:
        DemoError: A server did not start, could not be filled, or answered with errors.
    """
    del environ
    packages.ensure(PACKAGES)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as servers:
        site = Site(Path(folder), Path(folder) / "modules")
        write(site.modules, _MODULES)
        peers = _filled(site, servers, say)
        runs = _rounds(peers, say)
        resident_mib = {peer.name: peer.peak_resident_mib for peer in peers.values()}
        return [*_measured(runs), *_memory(resident_mib), *_figures(runs, resident_mib)]


def _filled(site: Site, servers: ExitStack, say: Say) -> dict[str, Peer]:
    nginx = servers.enter_context(site.nginx())
    started = [
        nginx,
        servers.enter_context(site.goproxy(nginx.url)),
        servers.enter_context(site.athens(nginx.url)),
        servers.enter_context(site.ours(nginx.url)),
    ]
    for kind, settings in ((_AUTH, _GUARDED), (_JSON_LOG, _LOUD)):
        started.append(servers.enter_context(site.athens(nginx.url, settings=settings, kind=kind)))
        started.append(servers.enter_context(site.ours(nginx.url, settings=settings, kind=kind)))
    for peer in started:
        say.passing(f"filling {peer.name}")
        headers = {"Authorization": f"Basic {_CREDENTIALS}"} if peer.name.endswith(_AUTH) else None
        for module in _MODULES:
            for extension in ("info", "mod", "zip"):
                peer.ask(module.target(extension), headers=headers)
    return {peer.name: peer for peer in started}


def _rounds(peers: Mapping[str, Peer], say: Say) -> dict[tuple[str, str], Run]:
    seen: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for number in range(ROUNDS):
        for load in LOADS:
            for name in (OURS, *load.bars):
                say.passing(f"round {number + 1} of {ROUNDS}: {load.name} of {name}")
                peer = peers[name + load.kind]
                ran = run(peer, load.target, seconds=SECONDS, headers=dict(load.headers))
                seen[load.name, name].append(ran)
    return {key: median(runs) for key, runs in seen.items()}


def _measured(runs: Mapping[tuple[str, str], Run]) -> list[Measured]:
    results = []
    for load in LOADS:
        ours = runs[load.name, OURS].requests_per_s
        for name, bar in load.bars.items():
            ratio = ours / runs[load.name, name].requests_per_s
            results.append(Measured(NAME, f"cached {load.name}, requests/s to {name}", ratio, Sense.AT_LEAST, bar))
    return results


def _memory(resident_mib: Mapping[str, float]) -> list[Measured]:
    what = "peak resident memory, warm"
    return [Measured(NAME, what, resident_mib[OURS], Sense.AT_MOST, RESIDENT_MIB, "MiB")]


def _figures(runs: Mapping[tuple[str, str], Run], resident_mib: Mapping[str, float]) -> list[Figure]:
    kinds = {load.name: load.kind for load in LOADS}
    return [
        Figure(
            NAME,
            load,
            server,
            {
                "requests/s": ran.requests_per_s,
                "p50 ms": ran.p50_ms,
                "p99 ms": ran.p99_ms,
                "requests/CPU s": ran.requests_per_s / max(ran.cpu_s, 0.01),
                "CPU s/s": ran.cpu_s,
                "peak MiB": resident_mib[server + kinds[load]],
            },
        )
        for (load, server), ran in runs.items()
    ]
