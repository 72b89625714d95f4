"""The files of examples/gitops work: the CI step passes, Argo CD and Flux read our status as it is meant."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cel
import pytest
import yaml

from localcluster import packages
from support.tree import ROOT

GITOPS = ROOT / "examples" / "gitops"
RECORDED = yaml.safe_load((Path(__file__).parent / "recorded.yaml").read_text())
OBJECTS = {entry["situation"]: entry["object"] for entry in RECORDED}
EXPRESSIONS = {
    each["kind"]: each
    for each in yaml.safe_load((GITOPS / "flux" / "kustomization.yaml").read_text())["spec"]["healthCheckExprs"]
}
HEALTH = {
    "all well": "Healthy",
    "before the first child": "Progressing",
    "first rollout": "Progressing",
    "a policy edit on its way, just now": "Progressing",
    "a pod stays behind for two minutes": "Degraded",
    "policies cannot be merged before the first rollout": "Degraded",
    "suspended in the middle of a rollout": "Suspended",
    "suspended and well": "Suspended",
    "every pod enforces the policy": "Healthy",
    "the policy is on its way": "Progressing",
    "a proxy keeps its last good file": "Degraded",
    "pods cannot be asked": "Healthy",
    "no proxy is attached": "Healthy",
}
CURRENT = {"all well", "suspended and well", "every pod enforces the policy"}
FAILED = {name for name, health in HEALTH.items() if health == "Degraded"}


def lua(value: Any) -> str:
    """The value as a Lua expression."""
    match value:
        case None:
            return "nil"
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case dict():
            return "{" + ", ".join(f"[{lua(key)}] = {lua(inner)}" for key, inner in value.items()) + "}"
        case list():
            return "{" + ", ".join(map(lua, value)) + "}"
        case _:
            return '"' + "".join(f"\\{byte:03d}" for byte in str(value).encode()) + '"'


def healths(objects: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What Argo CD's script says about each object: status and message."""
    packages.ensure({"lua5.4": "lua5.4"})
    script = (GITOPS / "argocd" / "health.lua").read_text()
    each = "\n".join(f"show(health({lua(value)}))" for value in objects)
    whole = (
        f"local function health(obj)\n{script}\nend\nlocal function show(h) print(h.status, h.message) end\n{each}\n"
    )
    done = subprocess.run(["lua5.4", "-"], input=whole, capture_output=True, text=True, check=True, timeout=30)
    lines = [line.split("\t", 1) for line in done.stdout.splitlines()]
    return [(status, message) for status, message in lines]


def test_every_phase_is_recorded() -> None:
    assert set(OBJECTS) == set(HEALTH)
    phases = {value["status"].get("phase") for value in OBJECTS.values()} - {None}
    assert phases == {"Pending", "Progressing", "Ready", "Degraded", "Failed", "Suspended"}


def test_argo_cd_shows_every_recorded_object_as_it_is_meant() -> None:
    found = dict(zip(OBJECTS, healths(list(OBJECTS.values())), strict=True))

    assert {name: status for name, (status, _) in found.items()} == HEALTH
    assert all(message not in ("", "nil") for _, message in found.values())


def test_argo_cd_waits_for_an_operator_that_has_not_looked_yet() -> None:
    ready = OBJECTS["all well"]
    edited = {**ready, "metadata": {**ready["metadata"], "generation": 99}}
    new = {key: value for key, value in ready.items() if key != "status"}

    assert [status for status, _ in healths([edited, new, {**ready, "status": {}}])] == ["Progressing"] * 3


@pytest.mark.parametrize("name", OBJECTS)
def test_flux_calls_an_object_current_or_failed_as_it_is_meant(name: str) -> None:
    value = OBJECTS[name]
    expressions = EXPRESSIONS[value["kind"]]

    assert cel.evaluate(expressions["current"], value) is (name in CURRENT)
    assert cel.evaluate(expressions["failed"], value) is (name in FAILED)


def test_flux_does_not_call_an_edited_policy_current() -> None:
    policy = OBJECTS["every pod enforces the policy"]
    edited = {**policy, "metadata": {**policy["metadata"], "generation": 99}}

    assert cel.evaluate(EXPRESSIONS["DownloadPolicy"]["current"], edited) is False


def test_the_ci_step_passes_and_writes_its_report(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [GITOPS / "ci.sh"],
        env={**os.environ, "PATH": path, "JUNIT": str(report)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert 'failures="0"' in report.read_text()
