"""The bars of a run as a picture: how far each figure is from its bar, on one scale for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from benchmarks.report import Measured, Sense

_ROW_PX: Final = 22
_LABEL_PX: Final = 520
_WIDTH_PX: Final = 480
_GREATEST: Final = 3.0  # what is better than this ends at the margin
_MET, _MISSED = "#2e7d32", "#c62828"


def svg(results: Sequence[Measured]) -> str:
    """One row for each promise: the longer the better, and the line is the bar."""
    height = _ROW_PX * (len(results) + 1)
    bar_at = _LABEL_PX + _WIDTH_PX / _GREATEST
    rows = [part for number, result in enumerate(results) for part in _row(result, number * _ROW_PX)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LABEL_PX + _WIDTH_PX + 10}" height="{height}" '
            'font-family="sans-serif" font-size="12">',
            '<rect width="100%" height="100%" fill="white"/>',
            *rows,
            f'<line x1="{bar_at:.0f}" x2="{bar_at:.0f}" y1="0" y2="{height - _ROW_PX}" stroke="black"/>',
            f'<text x="{bar_at:.0f}" y="{height - 6}" text-anchor="middle">the bar</text>',
            "</svg>",
            "",
        ]
    )


def times_the_bar(result: Measured) -> float:
    """How much better than its bar a figure is: 1 is just met, 2 is twice as good."""
    better, worse = (result.bar, result.figure) if result.sense is Sense.AT_MOST else (result.figure, result.bar)
    return better / worse if worse else _GREATEST


def _row(result: Measured, top: int) -> list[str]:
    length = min(times_the_bar(result), _GREATEST) / _GREATEST * _WIDTH_PX
    figure = f"{result.figure:.2f} {result.unit}".strip()
    label = escape(f"{result.scenario}: {result.what}")
    return [
        f'<text x="{_LABEL_PX - 6}" y="{top + 15}" text-anchor="end">{label}</text>',
        f'<rect x="{_LABEL_PX}" y="{top + 4}" width="{length:.0f}" height="{_ROW_PX - 6}" '
        f'fill="{_MET if result.is_met else _MISSED}"/>',
        f'<text x="{_LABEL_PX + 6}" y="{top + 15}" fill="white">{escape(figure)}</text>',
    ]
