"""Documents on the terminal: a table for people, JSON and YAML for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import click
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPE_WIDTH: Final = 1_000


class Format(StrEnum):
    """How a command answers."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


output_option = click.option(
    "-o",
    "--output",
    "output",
    type=click.Choice([str(choice) for choice in Format]),
    default=str(Format.TABLE),
    show_default=True,
    help="How to answer.",
)


class _Terminal(Console):
    """Leaves it to `main` what becomes of a command whose answer nobody reads."""

    def on_broken_pipe(self) -> None:
        """Instead of ending the process with status 1, which is an answer of ours."""
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """The terminal; a pipe gets long lines whole, for grep."""
    found = _Terminal(stderr=stderr, highlight=False)
    return found if found.is_terminal else _Terminal(stderr=stderr, highlight=False, width=_PIPE_WIDTH)


def emit_document(document: Any, output: str) -> None:
    """The document as JSON or YAML."""
    if output == Format.JSON:
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)


def emit_rows(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], output: str, *, empty: str) -> None:
    """Rows of equal keys.

    Args:
        rows: what to show.
        columns: key to heading, for the table.
        output: the format.
        empty: what a table of no rows says instead.
    """
    if output != Format.TABLE:
        emit_document(list(rows), output)
    elif not rows:
        click.echo(empty)
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in columns.values():
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(*(Text(str(row.get(key, ""))) for key in columns))
        console().print(table)


def emit_lines(lines: Iterable[tuple[str, str]]) -> None:
    """Labelled lines, aligned."""
    listed = list(lines)
    width = max((len(name) for name, _ in listed), default=0)
    for name, text in listed:
        click.echo(f"{name:<{width}}  {text}")
