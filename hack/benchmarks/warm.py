"""Cached files, one core for the server and one for the load: this proxy, Athens, goproxy and nginx in turns."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks.peers import ATHENS, GOPROXY, NGINX, OURS, PACKAGES, Peer, Site
from benchmarks.report import Measured, Result, Sense
from benchmarks.rows import Load, figures, in_turns, ratios
from benchmarks.sample_modules import BenchModule, write
from demonstration.console import Say
from localcluster import packages

NAME: Final = "warm"
RESIDENT_MIB: Final = 96.0
SMALL: Final = BenchModule("bench.example.com/small", 18_000)
MIDDLE: Final = BenchModule("bench.example.com/middle", 232_000)
MODULES: Final = [SMALL, MIDDLE]
_CREDENTIALS: Final = base64.b64encode(b"gopher:secret").decode()
_LOUD: Final = {"ATHENS_LOG_LEVEL": "info", "ATHENS_LOG_FORMAT": "json", "ATHENS_STATS_EXPORTER": "prometheus"}
_GUARDED: Final = {"BASIC_AUTH_USER": "gopher", "BASIC_AUTH_PASS": "secret"}
_CACHED: Final = {ATHENS: 4.0, GOPROXY: 2.5, NGINX: 0.9}
AUTH, JSON_LOG = " with basic auth", " with metrics and JSON log"
SETTINGS: Final[Mapping[str, Mapping[str, str]]] = {"": {}, AUTH: _GUARDED, JSON_LOG: _LOUD}
LOADS: Final = (
    Load("cached .info", SMALL.target("info"), _CACHED),
    Load("cached .mod 1.5 kB", SMALL.target("mod"), _CACHED),
    Load("cached zip 18 kB", SMALL.target("zip"), _CACHED),
    Load("cached zip 232 kB", MIDDLE.target("zip"), {ATHENS: 3.0, GOPROXY: 1.2, NGINX: 0.9}),
    Load(
        f"cached .info{AUTH}",
        SMALL.target("info"),
        {ATHENS: 2.5},
        kind=AUTH,
        headers=(("Authorization", f"Basic {_CREDENTIALS}"),),
    ),
    Load(f"cached .info{JSON_LOG}", SMALL.target("info"), {ATHENS: 2.5}, kind=JSON_LOG),
)


def measure(environ: Mapping[str, str], say: Say) -> list[Result]:
    """Requests per second of every server on every load, and our memory.

    Raises:
        DemoError: A server did not start, could not be filled, or answered with errors.
    """
    del environ
    packages.ensure(PACKAGES)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as servers:
        site = Site(Path(folder), Path(folder) / "modules")
        write(site.modules, MODULES)
        peers = _filled(site, servers, say)
        runs = in_turns(peers, LOADS, say)
        resident_mib = peers[OURS].peak_resident_mib
        memory = Measured(NAME, "peak resident memory, warm", resident_mib, Sense.AT_MOST, RESIDENT_MIB, "MiB")
        return [*ratios(NAME, LOADS, runs), memory, *figures(NAME, LOADS, runs, peers)]


def _filled(site: Site, servers: ExitStack, say: Say) -> dict[str, Peer]:
    nginx = servers.enter_context(site.nginx())
    started = [nginx, servers.enter_context(site.goproxy(nginx.url))]
    for kind, settings in SETTINGS.items():
        started.append(servers.enter_context(site.athens(nginx.url, settings=settings, kind=kind)))
        started.append(servers.enter_context(site.ours(nginx.url, settings=settings, kind=kind)))
    for peer in started:
        say.passing(f"filling {peer.name}")
        headers = {"Authorization": f"Basic {_CREDENTIALS}"} if peer.name.endswith(AUTH) else None
        peer.fill(MODULES, headers=headers)
    return {peer.name: peer for peer in started}
