"""What a user of `go` sees of a fetch that failed, and what it left in the store."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from time import monotonic

from support.go_client import GoClient
from support.living_folder import files_below
from support.modules_fixture import SampleModule

REPOSITORIES = "athens-vcs-"
"""Prefix of the folders that keep cloned repositories between fetches; they are no part of what is served."""

PASSING_S = 5.0
"""Longer than a file that is being written waits for its disk on a busy machine."""


async def downloaded(client: GoClient, module: SampleModule) -> tuple[int, str]:
    """Exit status of `go mod download`, and the error as it prints it."""
    run = await asyncio.to_thread(client.run, "mod", "download", "-json", f"{module.path}@{module.version}")
    return run.code, str(json.loads(run.stdout).get("Error", ""))


async def held(store: Path, module: SampleModule) -> list[str]:
    """The files in a store whose path names the module, and those of fetches that were left lying about.

    A proxy that failed at one file still writes others: its probe of the store, answers of the checksum database. Each
    is in the folder for temporary files for an instant, so only what stays there was left.
    """
    name = module.path.rpartition("/")[2]
    named = [path for path in files_below(store) if name in str(path.relative_to(store))]
    unfinished = await _lying_about(store / ".athens" / "tmp")
    return [str(path.relative_to(store)) for path in (*unfinished, *named) if REPOSITORIES not in str(path)]


async def _lying_about(folder: Path) -> set[Path]:
    def seen() -> set[Path]:
        return {path for path in files_below(folder) if REPOSITORIES not in str(path)}

    left = seen()
    deadline = monotonic() + PASSING_S
    while left and monotonic() < deadline:
        await asyncio.sleep(0.02)
        left &= seen()
    return left
