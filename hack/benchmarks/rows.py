"""Rows of a table: one target under load on every server in turns, and the ratios of ours to the peers'."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.load import CONNECTIONS, Run, median, run
from benchmarks.peers import OURS, Peer
from benchmarks.report import Figure, Measured, Sense
from demonstration.console import Say

ROUNDS: Final = 3
SECONDS: Final = 2


@dataclass(frozen=True)
class Load:
    """One row of the table.

    Attributes:
        name: For people.
        target: What is asked for.
        bars: The least ratio to each peer.
        kind: Which settings the servers have, "" for the quietest.
        headers: Of every request.
        connections: That stay open.
        seconds: Of one measurement.
        is_volume: Bytes per second are compared, else requests per second.
    """

    name: str
    target: str
    bars: Mapping[str, float]
    kind: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    connections: int = CONNECTIONS
    seconds: int = SECONDS
    is_volume: bool = False

    def speed(self, ran: Run) -> float:
        """What is compared."""
        return ran.mib_per_s if self.is_volume else ran.requests_per_s


Runs = Mapping[tuple[str, str], Run]


def in_turns(peers: Mapping[str, Peer], loads: Sequence[Load], say: Say) -> Runs:
    """The median of three rounds by row and server; within a round every server has its turn for each row.

    Raises:
        DemoError: Some answers were errors.
    """
    seen: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for number in range(ROUNDS):
        for load in loads:
            for name in (OURS, *load.bars):
                say.passing(f"round {number + 1} of {ROUNDS}: {load.name} of {name}")
                seen[load.name, name].append(
                    run(
                        peers[name + load.kind],
                        load.target,
                        seconds=load.seconds,
                        headers=dict(load.headers),
                        connections=load.connections,
                    )
                )
    return {key: median(runs) for key, runs in seen.items()}


def ratios(scenario: str, loads: Sequence[Load], runs: Runs) -> list[Measured]:
    """Ours to each peer's, against the bars."""
    return [
        Measured(
            scenario,
            f"{load.name}, {'bytes' if load.is_volume else 'requests'}/s to {name}",
            load.speed(runs[load.name, OURS]) / load.speed(runs[load.name, name]),
            Sense.AT_LEAST,
            bar,
        )
        for load in loads
        for name, bar in load.bars.items()
    ]


def figures(scenario: str, loads: Sequence[Load], runs: Runs, peers: Mapping[str, Peer]) -> list[Figure]:
    """What each server did in each row."""
    kinds = {load.name: load.kind for load in loads}
    return [
        Figure(scenario, row, server, figures_of(ran, peers[server + kinds[row]]))
        for (row, server), ran in runs.items()
    ]


def figures_of(ran: Run, peer: Peer) -> dict[str, float]:
    """What one server did, by the names that the report shows."""
    return {
        "requests/s": ran.requests_per_s,
        "MiB/s": ran.mib_per_s,
        "p50 ms": ran.p50_ms,
        "p99 ms": ran.p99_ms,
        "requests/CPU s": ran.requests_per_s / max(ran.cpu_s, 0.01),
        "CPU s/s": ran.cpu_s,
        "load CPU s/s": ran.load_cpu_s,
        "peak MiB": peer.peak_resident_mib,
    }
