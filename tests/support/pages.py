"""The commands of the user documentation, so that tests run what users are told to run."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from support.tree import ROOT

DEADLINE_S = 120.0


def commands(page: str, name: str) -> list[str]:
    """The commands of the block ```` ```console NAME ```` of a page below `docs/`, in order."""
    text = (ROOT / "docs" / page).read_text()
    found = re.findall(rf"^```console {re.escape(name)}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"docs/{page} has {len(found)} blocks of the name {name}"
    return [line.removeprefix("$ ") for line in found[0].splitlines() if line.startswith("$ ")]


def run_commands(lines: list[str], *, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """All of them in one shell that stops at the first failure, as a user would."""
    return subprocess.run(
        ["/bin/sh", "-eu", "-c", "\n".join(lines)],
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
