"""How an answer of Athens is compared with ours, and the reviewed table of what differs on purpose.

A difference is one aspect of one exchange. A row of the table says which differences it accepts and why; it must be
used by at least one exchange. `python -m support.athens_differences FILE` writes the table as the page for users.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.athens_exchange import Exchange
from support.exchange import Answer

TABLE = Path(__file__).parents[1] / "integration" / "conformance" / "athens_differences.toml"
HEADERS = (
    "location",
    "allow",
    "www-authenticate",
    "cache-control",
    "etag",
    "accept-ranges",
    "content-range",
    "retry-after",
)


@dataclass(frozen=True)
class Difference:
    """One aspect in which the two answers to one exchange differ.

    Attributes:
        exchange: what was asked.
        aspect: `status`, `type`, `body` or the name of a header.
        athens: the aspect in Athens' answer, as text.
        ours: the aspect in our answer.
        statuses: both statuses, as `200 404`, Athens' first.
    """

    exchange: Exchange
    aspect: str
    athens: str
    ours: str
    statuses: str

    def __str__(self) -> str:
        where = f"{self.exchange.name}: {self.aspect} ({self.statuses})"
        return f"{where}\n    athens: {self.athens!r}\n    ours:   {self.ours!r}"


@dataclass(frozen=True)
class Accepted:
    """One row of the table; a condition that is not given accepts everything.

    Attributes:
        topic: the heading the row stands under on the page for users.
        athens: what Athens does, in words.
        ours: what our proxy does, in words.
        reason: why we differ on purpose.
        aspects: the aspects the row is about.
        setting, method, target, statuses, athens_value, our_value: regular expressions of the whole text.
    """

    topic: str
    athens: str
    ours: str
    reason: str
    aspects: tuple[str, ...]
    setting: str = ".*"
    method: str = ".*"
    target: str = ".*"
    statuses: str = ".*"
    athens_value: str = ".*"
    our_value: str = ".*"

    def accepts(self, difference: Difference) -> bool:
        """Whether this row is about that difference."""
        exchange = difference.exchange
        pairs = (
            (self.setting, exchange.setting),
            (self.method, exchange.method),
            (self.target, exchange.target),
            (self.statuses, difference.statuses),
            (self.athens_value, difference.athens),
            (self.our_value, difference.ours),
        )
        return difference.aspect in self.aspects and all(
            re.fullmatch(pattern, text, re.DOTALL) for pattern, text in pairs
        )


def accepted_differences() -> tuple[Accepted, ...]:
    """The reviewed table."""
    rows = tomllib.loads(TABLE.read_text())["difference"]
    return tuple(Accepted(**{**row, "aspects": tuple(row["aspects"])}) for row in rows)


def process_differences() -> tuple[dict[str, str], ...]:
    """What differs before the first request: start and configuration; tested where the configuration is."""
    return tuple(tomllib.loads(TABLE.read_text())["process"])


def differences(exchange: Exchange, athens: Answer, ours: Answer) -> Iterator[Difference]:
    """Every aspect in which two answers differ."""
    statuses = f"{athens.status} {ours.status}"
    for (aspect, theirs), (_, mine) in zip(_aspects(exchange, athens), _aspects(exchange, ours), strict=True):
        if theirs != mine:
            yield Difference(exchange, aspect, theirs, mine, statuses)


def _aspects(exchange: Exchange, answer: Answer) -> Iterator[tuple[str, str]]:
    yield "status", str(answer.status)
    yield "type", answer.headers.get("content-type", "")
    yield "body", _normalised(exchange, answer)
    for name in HEADERS:
        yield name, answer.headers.get(name, "")


def _normalised(exchange: Exchange, answer: Answer) -> str:
    """The body as comparable text: JSON as a value, times and addresses of a run taken out."""
    text = answer.body.decode("utf-8", "backslashreplace")
    with contextlib.suppress(ValueError):
        text = json.dumps(json.loads(text), sort_keys=True)
    return text if exchange.target != "/metrics" else re.sub(r"(?m)^(?!# TYPE).*\n", "", text)


def page(rows: Sequence[Accepted]) -> str:
    """The table as a page for users, grouped by topic in the order of the table."""
    lines = [
        "# Differences from Athens",
        "",
        "Everything else that the differential tests ask is answered as Athens v0.18.0 answers it. This page is",
        "generated from the table that those tests check; a difference that is not listed here fails them.",
        "",
    ]
    for topic in dict.fromkeys(row.topic for row in rows):
        lines += [f"## {topic}", "", "| Athens | this proxy | because |", "|---|---|---|"]
        told = dict.fromkeys((row.athens, row.ours, row.reason) for row in rows if row.topic == topic)
        lines += [f"| {athens} | {ours} | {reason} |" for athens, ours, reason in told]
        lines.append("")
    lines += ["## Start and configuration", "", "| Athens | this proxy | because |", "|---|---|---|"]
    lines += [f"| {row['athens']} | {row['ours']} | {row['reason']} |" for row in process_differences()]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(accepted_differences()))
