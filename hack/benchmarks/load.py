"""Load from one core by wrk, and what it saw."""

from __future__ import annotations

import re
import statistics
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import astuple, dataclass
from typing import Final

from benchmarks.peers import Peer, children_cpu_s
from demonstration.errors import DemoError

LOAD_CORE: Final = "1"
CONNECTIONS: Final = 32
PATIENCE_S: Final = 60
_UNITS_MS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
_RATE: Final = re.compile(r"Requests/sec:\s+([\d.]+)")
_TRANSFER: Final = re.compile(r"Transfer/sec:\s+([\d.]+)([KMGT]?)B")
_BYTES: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_PAUSE_MS: Final = 4  # of every connection of a paced load, on average; wrk counts in whole milliseconds
_PACE_SCRIPT: Final = f"function delay() return math.random(0, {2 * _PAUSE_MS}) end\n"
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
        load_cpu_s: CPU seconds of the load per second: close to 1 when it is the load that waits for its core.
        mib_per_s: What was received, headers and answers that were cut off at the end included.
    """

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_s: float
    load_cpu_s: float
    mib_per_s: float


def run(
    peer: Peer,
    target: str,
    *,
    seconds: int,
    headers: Mapping[str, str] | None = None,
    connections: int = CONNECTIONS,
    requests_per_s: float = 0.0,
    core: str = LOAD_CORE,
) -> Run:
    """Load one server as much as it takes, or about as much as is said.

    Raises:
        DemoError: Some answers were errors: such figures mean nothing.
    """
    extra = [part for name, value in (headers or {}).items() for part in ("-H", f"{name}: {value}")]
    with ExitStack() as files:
        if requests_per_s:
            script = files.enter_context(tempfile.NamedTemporaryFile("w", suffix=".lua"))
            script.write(_PACE_SCRIPT)
            script.flush()
            extra += ["-s", script.name]
            connections = max(1, round(requests_per_s * _PAUSE_MS / 1000))
        counts = ["-t1", f"-c{connections}", f"-d{seconds}s"]
        return _seen(peer, target, ["wrk", *counts, "--latency", "--timeout", f"{PATIENCE_S}s", *extra], seconds, core)


def _seen(peer: Peer, target: str, command: Sequence[str], seconds: int, core: str) -> Run:
    before_s, load_before_s = peer.cpu_s, children_cpu_s()
    ran = subprocess.run(
        ["taskset", "-c", core, *command, peer.url + target], capture_output=True, text=True, check=False
    )
    cpu_s = (peer.cpu_s - before_s) / seconds
    load_cpu_s = (children_cpu_s() - load_before_s) / seconds
    failures = _FAILURES.search(ran.stdout)
    rate = _RATE.search(ran.stdout)
    if ran.returncode != 0 or failures or rate is None:
        what = failures.group(0) if failures else (ran.stderr or ran.stdout).strip()[-500:]
        raise DemoError(f"{peer.name}: GET {target} under load: {what}")
    latency_ms = {name: float(value) * _UNITS_MS[unit] for name, value, unit in _PERCENTILE.findall(ran.stdout)}
    transfer = _TRANSFER.search(ran.stdout)
    mib_per_s = float(transfer.group(1)) * _BYTES[transfer.group(2)] / (1 << 20) if transfer else 0.0
    return Run(float(rate.group(1)), latency_ms["50"], latency_ms["99"], cpu_s, load_cpu_s, mib_per_s)


def median(runs: Sequence[Run]) -> Run:
    """The median of every figure by itself."""
    return Run(*(statistics.median(figures) for figures in zip(*map(astuple, runs), strict=True)))
