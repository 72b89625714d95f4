"""Large zips on every kind of store: saves that are killed at random points, and memory while zips go in and out.

The same trials run shorter in the tests (`tests/support/object_trials.py`). BENCH_BACKENDS names some kinds of store,
KILL_POINTS another number of kills.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from athens_proxy.errors import ProxyError
from benchmarks.report import Figure, Measured, Result, Sense
from demonstration.console import Say
from demonstration.errors import DemoError
from support.large_zips import LargeZip, large_zip
from support.object_places import KINDS, LASTING, NewPlace, places
from support.object_trials import Killed, Resident, kill_saves, measure_passes

KILL: Final = "kill"
MEMORY: Final = "memory"
_KILL_POINTS: Final = 100
_KILLED_MIB: Final = 50
_ZIP_MIB: Final = 300
_PASSES: Final = 10
_AT_ONCE: Final = 10
_ABOVE_IDLE_MIB: Final = 128.0
_AT_ONCE_MIB: Final = 256.0
_GROWTH_MIB: Final = 8.0  # of allocators; a zip is 300 MiB
# The memory store keeps at most 512 MiB, and FerretDB looks at all zips to read one.
_AT_ONCE_ZIP_MIB: Final = {"memory": 30, "mongo": 30}


def measure_kill(environ: Mapping[str, str], say: Say) -> list[Result]:
    """What is left of saves that were killed -9, and whether the next save completes it.

    Raises:
        DemoError: A server did not start, or a save failed that was not killed.
    """
    points = int(environ.get("KILL_POINTS", _KILL_POINTS))
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        large = large_zip(Path(folder), _KILLED_MIB)
        for kind in _chosen(environ, LASTING):
            say.passing(f"{points} kills on {kind}")
            with _place(kind) as new_place:
                found = asyncio.run(kill_saves(new_place, large, points))
            say.fact(f"{kind}: a save takes {found.save_s:.2f} s; {_counted(found.states)}")
            results += _killed(kind, found)
    say.fact("memory: not applicable, it ends with the process that is killed")
    return results


def measure_memory(environ: Mapping[str, str], say: Say) -> list[Result]:
    """Resident memory of a process that saves, reads and deletes, above what it had when idle.

    Raises:
        DemoError: A server did not start, or a store failed.
    """
    results: list[Result] = []
    many: dict[int, list[LargeZip]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        large = large_zip(Path(folder), _ZIP_MIB)
        for kind in _chosen(environ, KINDS):
            at_once_mib = _AT_ONCE_ZIP_MIB.get(kind, _ZIP_MIB)
            if at_once_mib not in many:
                say.passing(f"making {_AT_ONCE} zips of {at_once_mib} MiB")
                many[at_once_mib] = _zips(Path(folder) / str(at_once_mib), at_once_mib)
            with _place(kind) as new_place:
                say.passing(f"{_PASSES} passes on {kind}")
                in_turn = asyncio.run(measure_passes(new_place(), [large], passes=_PASSES))
                say.passing(f"{_AT_ONCE} zips at once on {kind}")
                at_once = asyncio.run(measure_passes(new_place(), many[at_once_mib], passes=1))
            for side, one, ten in zip((kind, f"{kind}, serving side"), in_turn, at_once, strict=False):
                say.fact(f"{side}: idle {one.idle_mib} MiB, passes {one.peaks_mib}, {_AT_ONCE} at once {ten.peaks_mib}")
                results += _resident(side, one, ten, at_once_mib)
    return results


def _chosen(environ: Mapping[str, str], kinds: Sequence[str]) -> list[str]:
    wanted = environ.get("BENCH_BACKENDS", "").split() or kinds
    unknown = set(wanted) - set(KINDS)
    if unknown:
        raise DemoError(f"BENCH_BACKENDS: {', '.join(sorted(unknown))}: choose from {', '.join(KINDS)}")
    return [kind for kind in kinds if kind in wanted]


@contextmanager
def _place(kind: str) -> Iterator[NewPlace]:
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, places(kind, Path(folder)) as new_place:
            yield new_place
    except (AssertionError, ProxyError, TimeoutError) as failure:
        raise DemoError(f"{kind}: {failure}") from failure


def _zips(folder: Path, size_mib: int) -> list[LargeZip]:
    folder.mkdir()
    return [large_zip(folder, size_mib, number=number) for number in range(_AT_ONCE)]


def _counted(states: Sequence[str]) -> str:
    return ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))


def _killed(kind: str, found: Killed) -> list[Result]:
    kills = len(found.states)
    figures = {"save s": found.save_s, "absent": found.states.count("absent"), "whole": found.states.count("whole")}
    return [
        Figure(KILL, f"{kills} kills while {_KILLED_MIB} MiB are saved", kind, figures),
        Measured(KILL, f"{kind}: half versions after {kills} kills", len(found.halves), Sense.AT_MOST, 0),
        Measured(KILL, f"{kind}: complete after the next save", found.completed, Sense.AT_LEAST, kills),
    ]


def _resident(kind: str, in_turn: Resident, at_once: Resident, at_once_mib: int) -> list[Result]:
    kept_mib, beyond = (_ZIP_MIB, "above idle and what it keeps") if kind == "memory" else (0, "above idle")
    one = in_turn.above_idle_mib - kept_mib
    what = f"{kind}: {_ZIP_MIB} MiB in and out, {beyond}"
    growth = f"{kind}: growth from the third to pass {_PASSES}"
    parallel = f"{kind}: {_AT_ONCE} zips of {at_once_mib} MiB at once, above idle"
    return [
        Measured(MEMORY, what, one, Sense.AT_MOST, _ABOVE_IDLE_MIB, "MiB"),
        Measured(MEMORY, growth, in_turn.growth_mib, Sense.AT_MOST, _GROWTH_MIB, "MiB"),
        Measured(MEMORY, parallel, at_once.above_idle_mib, Sense.AT_MOST, _AT_ONCE_MIB, "MiB"),
    ]
