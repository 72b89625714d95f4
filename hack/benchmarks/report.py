"""Bars, what was measured against them, and the report of a run."""

from __future__ import annotations

import json
from collections.abc import Iterable
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


def publish(results: Iterable[Measured], console: Console) -> bool:
    """Print the table, write the report, say whether every bar is met."""
    results = list(results)
    table = Table(title="measured against the bars")
    for column in ("scenario", "promise", "measured", "bar", ""):
        table.add_column(column)
    for result in results:
        bar = f"{result.sense} {result.bar:g} {result.unit}".strip()
        figure = f"{result.figure:.2f} {result.unit}".strip()
        table.add_row(result.scenario, result.what, figure, bar, "met" if result.is_met else "MISSED")
    console.print(table)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps([_row(result) for result in results], indent=2) + "\n")
    return all(result.is_met for result in results)


def _row(result: Measured) -> dict[str, Any]:
    return {**asdict(result), "met": result.is_met}
