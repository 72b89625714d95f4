"""How commands that bring versions end: one JSON document, also where a Kubernetes Job's result is read from."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from athens_proxy.modules import ModuleVersion

TERMINATION_LOG: Final = Path("/dev/termination-log")
MAX_LINE_BYTES: Final = 4000  # the kubelet keeps 4,096
MAX_FAILURES: Final = 20
_MAX_REASON: Final = 300


def failures_of(failures: Sequence[tuple[ModuleVersion, str]]) -> list[dict[str, str]]:
    """The first failures, each with its reason cut to a line."""
    return [
        {"module": wanted.path.text, "version": wanted.version, "reason": reason[:_MAX_REASON]}
        for wanted, reason in failures[:MAX_FAILURES]
    ]


def one_line(document: dict[str, Any]) -> str:
    """The document as one line of at most `MAX_LINE_BYTES`: failures are dropped from the end until it fits."""
    shown = dict(document)
    while True:
        line = json.dumps(shown)
        if len(line) <= MAX_LINE_BYTES or not shown.get("failures"):
            return line[:MAX_LINE_BYTES]
        shown["failures"] = shown["failures"][:-1]


def publish(document: dict[str, Any], *, as_line: bool, termination_log: Path = TERMINATION_LOG) -> None:
    """Write the document to standard output, and as a line to where the kubelet reads the end of a container."""
    text = one_line(document) if as_line else json.dumps(document, indent=2)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
    with suppress(OSError):
        if termination_log.exists():
            termination_log.write_text(one_line(document), encoding="utf-8")


def tell(problem: str) -> None:
    """One line for people."""
    sys.stderr.write(problem + "\n")


def told(problem: str, status: int) -> int:
    """Say why a command ends with this exit status."""
    tell(problem)
    return status
