"""A tag that the go command calls unknown although its own clone has it.

It takes every failure of `git log` for absence, also that of one which was killed. Absence would be a lie: after a 404
the go command of a client goes on to the next proxy.

Source: cmd/go/internal/modfetch/codehost/git.go (stat, statLocal)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_UNKNOWN: Final = re.compile(r"unknown revision ([A-Za-z0-9][A-Za-z0-9._~+/-]{0,255})(?:\s|\Z)")
_CLOCK_STEP_S: Final = 0.05  # files get the time of the last tick


def is_known_tag(said: str, clones: Path, *, since_s: float) -> bool:
    """Whether what the go command said is that a tag is unknown which one of the clones has; blocks for reads.

    Args:
        said: its error.
        clones: the folder of bare repositories that it used, perhaps beside others.
        since_s: Unix time at which it began; what was not fetched into since then is another repository's clone.
    """
    unknown = _UNKNOWN.search(said)
    return unknown is not None and any(
        ref == f"refs/tags/{unknown[1]}" for clone in _fetched(clones, since_s) for ref in _refs(clone, unknown[1])
    )


def _fetched(clones: Path, since_s: float) -> Iterator[Path]:
    """The clones that were fetched into since then; absence that the origin says itself is found before any fetch."""
    with suppress(OSError):
        for clone in clones.iterdir():
            with suppress(OSError):
                if (clone / "FETCH_HEAD").stat().st_mtime >= since_s - _CLOCK_STEP_S:
                    yield clone


def _refs(clone: Path, tag: str) -> Iterator[str]:
    """The tag if it is a file of its own, and all that are packed."""
    with suppress(OSError):
        if ".." not in tag and (clone / "refs" / "tags" / tag).is_file():
            yield f"refs/tags/{tag}"
        lines = (clone / "packed-refs").read_text(encoding="utf-8", errors="replace").splitlines()
        yield from (line.partition(" ")[2] for line in lines)
