"""The command line: `hack/bench [SCENARIO]` measures one scenario, or all of them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from rich.console import Console

from benchmarks import (
    bundle,
    catalog,
    cluster_slice,
    cold,
    cold_large,
    cold_private,
    large,
    listing,
    observability,
    operator_load,
    page,
    policy_rules,
    processes,
    retention,
    stalled,
    start,
    store_trials,
    storm,
    warm,
)
from benchmarks.plot import svg
from benchmarks.report import REPORT, Measured, Result, publish
from demonstration.console import Say, Steps
from demonstration.errors import DemoError
from localcluster.errors import ClusterError

PICTURE: Final = REPORT.with_suffix(".svg")
Scenario = Callable[[Mapping[str, str], Say], Sequence[Result]]
SCENARIOS: Final[Mapping[str, Scenario]] = {
    bundle.NAME: bundle.measure,
    catalog.NAME: catalog.measure,
    cluster_slice.NAME: cluster_slice.measure,
    cold.NAME: cold.measure,
    cold_large.NAME: cold_large.measure,
    cold_private.NAME: cold_private.measure,
    large.NAME: large.measure,
    listing.LIST: listing.measure_list,
    listing.STEADY: listing.measure_steady,
    observability.NAME: observability.measure,
    operator_load.NAME: operator_load.measure,
    page.NAME: page.measure,
    policy_rules.NAME: policy_rules.measure,
    processes.NAME: processes.measure,
    retention.NAME: retention.measure,
    stalled.NAME: stalled.measure,
    store_trials.KILL: store_trials.measure_kill,
    store_trials.MEMORY: store_trials.measure_memory,
    start.NAME: start.measure,
    storm.NAME: storm.measure,
    warm.NAME: warm.measure,
}


def main(arguments: Sequence[str]) -> int:
    """Measure; 0 if every bar is met, 1 if one is missed or could not be measured."""
    parser = argparse.ArgumentParser(prog="hack/bench", description="Measure what this project promises.")
    parser.add_argument("scenario", nargs="?", choices=sorted(SCENARIOS), help="one scenario; all when left out")
    chosen = parser.parse_args(arguments).scenario
    console = Console()
    steps = Steps(console)
    results: list[Result] = []
    try:
        for name in [chosen] if chosen else SCENARIOS:
            with steps.step(name) as say:
                results += SCENARIOS[name](os.environ, say)
    except (DemoError, ClusterError) as failure:
        console.print(str(failure), markup=False)
        return 1
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(svg([result for result in results if isinstance(result, Measured)]))
    return 0 if publish(results, console) else 1
