"""Load from one core by wrk, and what it saw."""

from __future__ import annotations

import re
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.peers import Peer
from demonstration.errors import DemoError

LOAD_CORE: Final = "1"
CONNECTIONS: Final = 32
PATIENCE_S: Final = 60
_UNITS_MS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
_RATE: Final = re.compile(r"Requests/sec:\s+([\d.]+)")
_PERCENTILE: Final = re.compile(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s|m)\s*$", re.MULTILINE)
_FAILURES: Final = re.compile(r"Non-2xx.*|Socket errors.*")


@dataclass(frozen=True)
class Run:
    """One file asked for again and again over keep-alive connections.

    Attributes:
        requests_per_s: Answers per second.
        p50_ms: Half of the answers were quicker, under full load.
        p99_ms: One in a hundred was slower, under full load.
        cpu_s: CPU seconds of the server per second of load.
    """

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_s: float


def run(peer: Peer, target: str, *, seconds: int, headers: Mapping[str, str] | None = None) -> Run:
    """Load one server as much as it takes.

    Raises:
        DemoError: Some answers were errors: such figures mean nothing.
    """
    extra = [part for name, value in (headers or {}).items() for part in ("-H", f"{name}: {value}")]
    command = [
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        "--latency",
        "--timeout",
        f"{PATIENCE_S}s",
        *extra,
        peer.url + target,
    ]
    before_s = peer.cpu_s
    ran = subprocess.run(["taskset", "-c", LOAD_CORE, *command], capture_output=True, text=True, check=False)
    cpu_s = peer.cpu_s - before_s
    failures = _FAILURES.search(ran.stdout)
    rate = _RATE.search(ran.stdout)
    if ran.returncode != 0 or failures or rate is None:
        what = failures.group(0) if failures else (ran.stderr or ran.stdout).strip()[-500:]
        raise DemoError(f"{peer.name}: GET {target} under load: {what}")
    latency_ms = {name: float(value) * _UNITS_MS[unit] for name, value, unit in _PERCENTILE.findall(ran.stdout)}
    return Run(float(rate.group(1)), latency_ms["50"], latency_ms["99"], cpu_s / seconds)


def median(runs: Sequence[Run]) -> Run:
    """The median of every figure by itself."""
    return Run(*(statistics.median(figures) for figures in zip(*map(_figures, runs), strict=True)))


def _figures(one: Run) -> tuple[float, float, float, float]:
    return one.requests_per_s, one.p50_ms, one.p99_ms, one.cpu_s
