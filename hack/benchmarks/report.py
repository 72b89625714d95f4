"""Bars, what was measured against them, and the report of a run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

REPORT: Final = Path(__file__).resolve().parents[2] / "build/bench/report.json"


class Sense(StrEnum):
    """On which side of its bar a figure has to be."""

    AT_MOST = "at most"
    AT_LEAST = "at least"


@dataclass(frozen=True)
class Measured:
    """One figure against its bar.

    Attributes:
        scenario: The scenario that measured it.
        what: The promise in words.
        figure: What was measured.
        sense: On which side of the bar it has to be.
        bar: The bar.
        unit: Of figure and bar; "" for a ratio or a count.
    """

    scenario: str
    what: str
    figure: float
    sense: Sense
    bar: float
    unit: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the promise is kept."""
        return self.figure <= self.bar if self.sense is Sense.AT_MOST else self.figure >= self.bar


@dataclass(frozen=True)
class Figure:
    """What one server did in one row of a scenario; no bar of its own.

    Attributes:
        scenario: The scenario that measured it.
        what: The row.
        server: Which server, `ours` or a peer.
        figures: By name, units in the names.
    """

    scenario: str
    what: str
    server: str
    figures: Mapping[str, float]


Result = Measured | Figure


def publish(results: Iterable[Result], console: Console) -> bool:
    """Print the tables, write the report, say whether every bar is met."""
    results = list(results)
    bars = [result for result in results if isinstance(result, Measured)]
    figures = [result for result in results if isinstance(result, Figure)]
    for scenario in dict.fromkeys(figure.scenario for figure in figures):
        console.print(_figures_table(scenario, [figure for figure in figures if figure.scenario == scenario]))
    console.print(_bars_table(bars))
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    report = {"bars": [_row(result) for result in bars], "figures": [asdict(figure) for figure in figures]}
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    return all(result.is_met for result in bars)


def _figures_table(scenario: str, figures: Sequence[Figure]) -> Table:
    names = list(dict.fromkeys(name for figure in figures for name in figure.figures))
    table = Table(title=f"{scenario}: what each server did")
    for column in ("", "server", *names):
        table.add_column(column)
    for figure in figures:
        table.add_row(figure.what, figure.server, *(f"{figure.figures.get(name, 0.0):,.2f}" for name in names))
    return table


def _bars_table(results: Sequence[Measured]) -> Table:
    table = Table(title="measured against the bars")
    for column in ("scenario", "promise", "measured", "bar", ""):
        table.add_column(column)
    for result in results:
        bar = f"{result.sense} {result.bar:g} {result.unit}".strip()
        figure = f"{result.figure:.2f} {result.unit}".strip()
        table.add_row(result.scenario, result.what, figure, bar, "met" if result.is_met else "MISSED")
    return table


def _row(result: Measured) -> dict[str, Any]:
    return {**asdict(result), "met": result.is_met}
