"""Answers that are put together from many stored versions, and how long cached ones take at half of the peak rate."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from benchmarks.load import run
from benchmarks.peers import ATHENS, OURS, PACKAGES, Peer, Site
from benchmarks.report import Figure, Measured, Result, Sense
from benchmarks.rows import ROUNDS, SECONDS, Load, figures, figures_of, in_turns, ratios
from benchmarks.sample_modules import BenchModule, store, write
from benchmarks.warm import SMALL
from demonstration.console import Say
from localcluster import packages

LIST: Final = "list"
STEADY: Final = "half-rate"
P99_MS: Final = 5.0
_MODULE: Final = "bench.example.com/many"
_VERSIONS: Final = [f"v1.{number // 10}.{number % 10}" for number in range(500)]
_OTHERS: Final = [f"bench.example.com/other{number:04}" for number in range(1_000)]
_OFFLINE: Final = " offline"
LOADS: Final = (
    Load("@v/list of 500 versions", f"/{_MODULE}/@v/list", {ATHENS: 2.0}),
    Load("@v/list of 500 versions, offline", f"/{_MODULE}/@v/list", {ATHENS: 2.0}, kind=_OFFLINE),
    Load("catalog page of 1,000", "/catalog?pagesize=1000", {ATHENS: 2.0}),
)


def measure_list(environ: Mapping[str, str], say: Say) -> list[Result]:
    """Lists and pages of the catalogue per second, ours and Athens'.

    Raises:
        DemoError: A server did not start or answered with errors.
    """
    del environ
    with _servers(say) as peers:
        runs = in_turns(peers, LOADS, say)
        return [*ratios(LIST, LOADS, runs), *figures(LIST, LOADS, runs, peers)]


def measure_steady(environ: Mapping[str, str], say: Say) -> list[Result]:
    """The 99th percentile of a cached `.mod` at half of each server's own peak rate, medians of three rounds.

    Raises:
        DemoError: A server did not start or answered with errors.
    """
    del environ
    target, what = SMALL.target("mod"), "cached .mod at half of the peak rate"
    with _servers(say) as peers:
        seen: dict[str, list[dict[str, float]]] = {OURS: [], ATHENS: []}
        for number in range(ROUNDS):
            for name, figures_seen in seen.items():
                say.passing(f"round {number + 1} of {ROUNDS}: {name}")
                peak = run(peers[name], target, seconds=SECONDS)
                half = run(peers[name], target, seconds=SECONDS, requests_per_s=peak.requests_per_s / 2)
                figures_seen.append({**figures_of(half, peers[name]), "peak requests/s": peak.requests_per_s})
    medians = {name: _medians(rounds) for name, rounds in seen.items()}
    ours_ms, athens_ms = (medians[name]["p99 ms"] for name in (OURS, ATHENS))
    return [
        Measured(STEADY, f"p99 of a {what}", ours_ms, Sense.AT_MOST, P99_MS, "ms"),
        Measured(STEADY, f"p99 of a {what}, to Athens'", ours_ms / athens_ms, Sense.AT_MOST, 1.0),
        *(Figure(STEADY, what, name, seen) for name, seen in medians.items()),
    ]


def _medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


@contextmanager
def _servers(say: Say) -> Iterator[dict[str, Peer]]:
    """Ours and Athens, with upstream and offline, over stores of the same many versions."""
    packages.ensure(PACKAGES)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as servers:
        site = Site(Path(folder), Path(folder) / "modules")
        write(site.modules, [SMALL, BenchModule(_MODULE, 2_000)])
        _publish_many(site.modules / _MODULE / "@v")
        stored = [*((_MODULE, version) for version in _VERSIONS), *((path, "v1.0.0") for path in _OTHERS)]
        nginx = servers.enter_context(site.nginx())
        peers = {}
        for kind, settings in (("", {}), (_OFFLINE, {"ATHENS_NETWORK_MODE": "offline"})):
            for name, start in ((OURS, site.ours), (ATHENS, site.athens)):
                say.passing(f"filling {name}{kind}")
                store(site.store(name + kind), stored)
                peers[name + kind] = servers.enter_context(start(nginx.url, settings=settings, kind=kind))
        for name in (OURS, ATHENS):
            peers[name].fill([SMALL])
        yield peers


def _publish_many(folder: Path) -> None:
    """Upstream's list, and the files of the newest version, which the go command wants to see with it."""
    (folder / "list").write_text("".join(f"{version}\n" for version in _VERSIONS))
    newest = _VERSIONS[-1]
    (folder / f"{newest}.info").write_text(f'{{"Version":"{newest}","Time":"2020-01-01T00:00:00Z"}}')
    (folder / f"{newest}.mod").write_text(f"module {_MODULE}\n")
