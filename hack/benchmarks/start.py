"""From starting the process to its first answer, with a store that holds 100,000 versions."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.peers import ATHENS, OURS, PACKAGES, Site
from benchmarks.report import Figure, Measured, Result, Sense
from benchmarks.sample_modules import store
from demonstration.console import Say
from localcluster import packages

NAME: Final = "start"
STORED: Final = 100_000
ROUNDS: Final = 3
FIRST_ANSWER_S: Final = 1.0
_VERSIONS: Final = 5
_NOWHERE: Final = "http://127.0.0.1:9"
_ALL_CORES: Final = "0,1"


def measure(environ: Mapping[str, str], say: Say) -> list[Result]:
    """The slowest of three starts; Athens' as well, for comparison.

    Raises:
        DemoError: A server did not start or has lost what is stored.
    """
    del environ
    packages.ensure(PACKAGES)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        site = Site(Path(folder), Path(folder) / "modules", cores=_ALL_CORES)
        say.passing(f"storing {STORED:,} versions")
        modules = [f"bench.example.com/group{number // 100}/m{number}" for number in range(STORED // _VERSIONS)]
        store(site.store(OURS), [(path, f"v1.{minor}.0") for path in modules for minor in range(_VERSIONS)])
        same = site.store(ATHENS)
        same.rmdir()
        same.symlink_to(site.store(OURS))
        target = f"/{modules[-1]}/@v/v1.0.0.info"
        seen: dict[str, list[float]] = {OURS: [], ATHENS: []}
        for name, server in ((OURS, site.ours), (ATHENS, site.athens)) * ROUNDS:
            say.passing(f"starting {name}")
            started = time.monotonic()
            with server(_NOWHERE) as peer:
                peer.ask(target)
                seen[name].append(time.monotonic() - started)
    what = f"process to first answer, {STORED:,} versions stored"
    return [
        Measured(NAME, f"{what}, slowest of {ROUNDS}", max(seen[OURS]), Sense.AT_MOST, FIRST_ANSWER_S, "s"),
        *(Figure(NAME, what, name, {"fastest s": min(took), "slowest s": max(took)}) for name, took in seen.items()),
    ]
