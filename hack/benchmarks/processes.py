"""One process and two on the same two cores, asked for what costs the server far more than the client."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks.load import Run, median, run
from benchmarks.peers import PACKAGES, Peer, Site
from benchmarks.report import Figure, Measured, Result, Sense
from benchmarks.rows import ROUNDS, SECONDS, figures_of
from benchmarks.sample_modules import write
from benchmarks.warm import SMALL
from demonstration.console import Say
from localcluster import packages

NAME: Final = "processes"
COUNT: Final = 2
RATIO: Final = 1.7
_ALL_CORES: Final = "0,1"
# Not answered from memory, so that a request costs the server many times what it costs the client beside it.
_HEADERS: Final = {"Range": "bytes=0-99"}


def measure(environ: Mapping[str, str], say: Say) -> list[Result]:
    """Requests per second of two processes to those of one, medians of three rounds in turns.

    Raises:
        DemoError: A server did not start or answered with errors.
    """
    del environ
    packages.ensure(PACKAGES)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as servers:
        site = Site(Path(folder), Path(folder) / "modules", cores=_ALL_CORES)
        write(site.modules, [SMALL])
        nginx = servers.enter_context(site.nginx())
        peers = [_filled(servers, site, nginx, count) for count in (1, COUNT)]
        seen: dict[str, list[Run]] = {peer.name: [] for peer in peers}
        for number in range(ROUNDS):
            for peer in peers:
                say.passing(f"round {number + 1} of {ROUNDS}: {peer.name}")
                ran = run(peer, SMALL.target("mod"), seconds=SECONDS, headers=_HEADERS, core=_ALL_CORES)
                seen[peer.name].append(ran)
        one, several = (median(seen[peer.name]) for peer in peers)
        what = "a part of a cached .mod"
        return [
            Measured(
                NAME,
                f"requests/s for {what}, {COUNT} processes to one",
                several.requests_per_s / one.requests_per_s,
                Sense.AT_LEAST,
                RATIO,
            ),
            *(
                Figure(NAME, what, peer.name, figures_of(ran, peer))
                for peer, ran in zip(peers, (one, several), strict=True)
            ),
        ]


def _filled(servers: ExitStack, site: Site, upstream: Peer, count: int) -> Peer:
    settings = {"ATHENS_PROCESSES": str(count)}
    peer = servers.enter_context(site.ours(upstream.url, settings=settings, kind=f" in {count}"))
    peer.fill([SMALL])
    return peer
