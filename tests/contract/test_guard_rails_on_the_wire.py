"""A Mandatory deny is enforced by a pod as the operator renders it, whatever its team adds, stored copies included.

What policies of a team can do is shown without a pod, beside `kubectl athens explain`; here is what a pod can be given.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from athens_operator.desired import desired_objects
from athens_operator.desired.environment import PROGRAM_PINS
from athens_policy.merge import PolicyRule, PolicySource, Tier, merge
from athens_policy.model import Mode
from athens_policy.render import render
from support.exchange import Answer, ask
from support.module_tree import ModuleTree
from support.operator_values import INPUTS, proxy_value
from support.rendered_pod import POLICY, RenderedPod, running_pod
from support.whole_spec import SPEC

EVIL, VERSION = "example.com/evil", "v1.0.0"
RULE = PolicyRule("evil", (EVIL,), Mode.DENY, reason="SEC-112")
GUARD = render(merge([PolicySource("ClusterDownloadPolicy", "", "guard", 1, Tier.MANDATORY, 0, (RULE,))]))
REFUSAL = "denied by guard#evil: SEC-112"
ENDPOINTS = (f"@v/{VERSION}.zip", f"@v/{VERSION}.mod", f"@v/{VERSION}.info", "@v/list", "@latest")
LETS_ALL_IN = {"filter": "+ example.com/evil\n", "download.hcl": POLICY}
EVERY_WAY = {
    f"{doubled}{name}": value
    for doubled in ("", "ATHENS_", "ATHENS_ATHENS_")
    for name, value in {
        "DOWNLOAD_MODE": "sync",
        "ATHENS_DOWNLOAD_MODE": "sync",
        "FILTER_FILE": "/nowhere/filter",
        "ATHENS_FILTER_FILE": "/nowhere/filter",
        "ATHENS_GLOBAL_ENDPOINT": "https://goproxy.example.com",
        "ATHENS_DOWNLOAD_URL": "https://goproxy.example.com",
    }.items()
}
PROGRAMS = {"PYTHONPATH": "/nowhere", "LD_PRELOAD": "/nowhere/lib.so", "PYTHONPYCACHEPREFIX": "/nowhere"}


@pytest.fixture
def modules(tmp_path: Path) -> ModuleTree:
    tree = ModuleTree(tmp_path / "modules")
    tree.add(EVIL, VERSION)
    return tree


def spec(modules: ModuleTree, **more: Any) -> dict[str, Any]:
    return {
        "storage": {"type": "disk", "disk": {"ephemeral": {}}},
        "upstream": {"goproxy": modules.url},
        "checksumDB": {"urls": []},
        **more,
    }


def asked(pod: RenderedPod) -> list[Answer]:
    return [ask(pod.address, f"/{EVIL}/{endpoint}") for endpoint in ENDPOINTS]


def is_refused(pod: RenderedPod) -> bool:
    return all(answer.status == 403 and REFUSAL in answer.text for answer in asked(pod))


@pytest.mark.parametrize("added", [EVERY_WAY, PROGRAMS], ids=["settings", "programs"])
def test_what_whole_sources_of_environment_hold_does_not_lift_it(
    added: Mapping[str, str], modules: ModuleTree, tmp_path: Path
) -> None:
    proxy = proxy_value(spec(modules, extraEnvFrom=[{"configMapRef": {"name": "tricks"}}]))

    with running_pod(tmp_path, proxy, INPUTS, {"tricks": added}, GUARD) as pod:
        assert is_refused(pod)


def test_a_stored_copy_is_refused_at_every_endpoint_from_the_moment_the_rule_is_there(
    modules: ModuleTree, tmp_path: Path
) -> None:
    with running_pod(tmp_path, proxy_value(spec(modules)), INPUTS, {}) as pod:
        assert [answer.status for answer in asked(pod)] == [200] * len(ENDPOINTS)
        assert [answer.status for answer in asked(pod)] == [200] * len(ENDPOINTS)  # from the store, and from memory

        (tmp_path / "etc/athens/policy/download.hcl").write_text(GUARD)

        pod.process.wait_until(lambda: is_refused(pod), what="refusing the stored copy", deadline_s=30)


def test_no_field_takes_the_policy_file_or_its_pins_away() -> None:
    """There is no overlay over the pod; with every field set the program, its file and its pins are what they were."""
    whole = {**SPEC, "extraEnvFrom": [{"configMapRef": {"name": "tricks"}}], "upstream": {}}

    def facts(value: dict[str, Any]) -> tuple[Any, ...]:
        pod = next(
            child for child in desired_objects(proxy_value(value), GUARD, INPUTS) if child["kind"] == "Deployment"
        )
        container = pod["spec"]["template"]["spec"]["containers"][0]
        pins = [entry for entry in container["env"] if entry["name"].startswith("ATHENS_ATHENS_")]
        mounts = [entry for entry in container["volumeMounts"] if entry["name"] == "policy"]
        volumes = [entry for entry in pod["spec"]["template"]["spec"]["volumes"] if entry["name"] == "policy"]
        return container["args"], container.get("command"), pins, mounts, volumes

    assert facts(whole) == facts({"storage": {"type": "memory", "memory": {}}})


def test_variables_that_could_replace_the_program_are_as_in_the_image() -> None:
    value = {"storage": {"type": "memory", "memory": {}}, "extraEnvFrom": [{"secretRef": {"name": "any"}}]}
    pod = next(child for child in desired_objects(proxy_value(value), GUARD, INPUTS) if child["kind"] == "Deployment")
    container = pod["spec"]["template"]["spec"]["containers"][0]

    assert {entry["name"]: entry.get("value") for entry in container["env"]}.items() >= PROGRAM_PINS.items()
