"""What a user of `go` sees of a fetch that failed, and what it left in the store."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from support.go_client import GoClient
from support.living_folder import files_below
from support.modules_fixture import SampleModule

REPOSITORIES = "athens-vcs-"
"""Prefix of the folders that keep cloned repositories between fetches; they are no part of what is served."""


async def downloaded(client: GoClient, module: SampleModule) -> tuple[int, str]:
    """Exit status of `go mod download`, and the error as it prints it."""
    run = await asyncio.to_thread(client.run, "mod", "download", "-json", f"{module.path}@{module.version}")
    return run.code, str(json.loads(run.stdout).get("Error", ""))


def held(store: Path, module: SampleModule) -> list[str]:
    """The files in a store whose path names the module, and those of fetches that were left lying about."""
    unfinished = files_below(store / ".athens" / "tmp")
    name = module.path.rpartition("/")[2]
    named = (path for path in files_below(store) if name in str(path.relative_to(store)))
    found = (str(path.relative_to(store)) for path in (*unfinished, *named))
    return [path for path in found if REPOSITORIES not in path]
