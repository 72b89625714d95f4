"""Every file of examples/ works as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from demonstration.kubectl import holds_for
from support.team import Team
from support.tree import ROOT

# Files with passwords to replace need a store, database or origin that only their reader has; the control-plane tier
# holds them against the schemas and has the operator render them.
FILES = [path for path in sorted((ROOT / "examples").glob("*.yaml")) if "to-be-replaced" not in path.read_text()]
CLUSTER_SCOPED = {"ClusterDownloadPolicy"}
DEADLINE_S = 90


def test_there_are_examples() -> None:
    assert FILES


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_an_example_becomes_ready(team: Team, file: Path) -> None:
    applied = team.apply_file(file)
    try:
        for manifest in applied:
            kind, name = manifest["kind"], manifest["metadata"]["name"]
            if kind == "AthensProxy":
                team.kubectl.until(kind, name, team.namespace, holds_for("Ready"), f"{kind} {name} Ready", DEADLINE_S)
            elif kind.endswith("DownloadPolicy"):
                where = "" if kind in CLUSTER_SCOPED else team.namespace
                team.kubectl.until(kind, name, where, holds_for("Accepted"), f"{kind} {name} Accepted", DEADLINE_S)
    finally:
        for manifest in applied:
            if manifest["kind"] in CLUSTER_SCOPED:
                team.kubectl.run("delete", manifest["kind"], manifest["metadata"]["name"])


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_an_example_is_accepted_word_for_word(team: Team, file: Path) -> None:
    """Nothing of it is pruned, misspelt or defaulted away."""
    applied = team.apply_file(file)
    try:
        for manifest in applied:
            live = team.kubectl.get(manifest["kind"], manifest["metadata"]["name"], team.namespace) or {}
            assert contains(live.get("spec"), manifest.get("spec")), manifest["metadata"]["name"]
    finally:
        for manifest in applied:
            if manifest["kind"] in CLUSTER_SCOPED:
                team.kubectl.run("delete", manifest["kind"], manifest["metadata"]["name"])


def contains(live: object, wanted: object) -> bool:
    """Whether everything that was written is there; defaults may have been added."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(
            key in live and contains(live[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(live, list) and len(live) == len(wanted) and all(map(contains, live, wanted))
    return live == wanted
