"""A field that changes nothing is a lie to users: every leaf of the schema changes a rendered child.

Each leaf is changed alone in a spec that is valid with and without the change. A leaf without effect fails, unless it
is listed with the reason.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from athens_operator.attachment import attached
from athens_operator.desired import desired_objects
from athens_operator.desired.inputs import Inputs
from athens_operator.spec import AthensProxy
from athens_policy.merge import merge
from athens_policy.render import render
from support.crd_schema import Node, nodes, schema, violations
from support.operator_values import policy_value, proxy_body, rule
from support.whole_spec import ELSEWHERE, SPEC, TOGETHER, spec_with

INPUTS = Inputs(
    default_image="registry.example.com/athens/proxy:v0.1.0",
    claim_access_modes=("ReadWriteMany",),
    served=frozenset({"HTTPRoute", "ServiceMonitor", "PrometheusRule", "Job"}),
)
POLICIES = (
    policy_value("selected", rules=[rule("chosen", "example.com/selected")]),
    policy_value("shared", namespace="platform", rules=[rule("named", "example.com/named")], shareWith={"from": "All"}),
)
NO_CHILD = {
    "suspend": "freezes the children instead of changing them; status and engine tests",
    "storage.allowSharing": "decides whether pods start where another proxy's modules are; tests of shared stores",
    "onError": "decides what a file holds that cannot be merged; tests of what is gathered",
    "rollout.secretChange": "decides which hash of the Secrets is rendered; tests of what is gathered",
    "policyRefs[].kind": "has one allowed word",
}
BY_HAND: dict[str, Any] = {
    "credentials[].type": "token",
    "httpRoute.timeout": "61s",
    "metrics.serviceMonitor.interval": "61s",
    "rollout.strategy": "Recreate",
    "server.timeouts.network": "61s",
    "server.timeouts.stash": "61s",
    "server.timeouts.shutdown": "61s",
    "download.rules[].versions": ">=v1.0.1",
    "purge[].version": "v1.0.1",
    "retention.maxIdle": "721h",
    "tracing.samplingFraction": "0.25",
    "download.rules[].minAge": "73h",
    "storage.disk.persistentVolumeClaim.accessModes[]": "ReadWriteOnce",
    "storage.disk.persistentVolumeClaim.size": "6Gi",
}
LEAVES = [node for node in nodes(schema("AthensProxy", "spec")) if node.is_leaf and node.path != "storage.memory"]


def children(spec: dict[str, Any]) -> object:
    """Everything that is rendered for a spec, the download file included."""
    proxy = AthensProxy.parse(proxy_body(spec))
    text = render(merge(attached(proxy, POLICIES, {}).sources))
    return desired_objects(proxy, text, INPUTS)


def changed(node: Node, value: Any) -> Any:
    """Another valid value of the leaf's type."""
    if node.path in BY_HAND:
        return BY_HAND[node.path]
    if "enum" in node.schema:
        return next((word for word in node.schema["enum"] if word != value), value)
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case dict():
            return {**value, "other": {}}
        case _:
            return f"{value[:-2]}9Gi" if str(value).endswith("Gi") else f"{value}x"


def with_change(spec: dict[str, Any], node: Node) -> dict[str, Any]:
    """A copy of the spec in which one leaf has another value, or none where only one value exists."""
    copy = deepcopy(spec)
    place: Any = copy
    *parents, last = node.path.replace("[]", ".0").replace("{}", ".*").split(".")
    for step in parents:
        place = place[int(step)] if isinstance(place, list) else place[next(iter(place)) if step == "*" else step]
    key: Any = int(last) if isinstance(place, list) else next(iter(place)) if last == "*" else last
    if len(node.schema.get("enum", ())) == 1 and node.path not in NO_CHILD:
        del place[key]
    else:
        place[key] = changed(node, place[key])
    return copy


@pytest.mark.parametrize("node", LEAVES, ids=lambda node: node.path)
def test_a_field_changes_something_or_says_why_not(node: Node) -> None:
    spec = spec_with(node.path)
    other = {**SPEC, **TOGETHER[node.path]} if node.path in TOGETHER else with_change(spec, node)

    assert (children(spec) == children(other)) is (node.path in NO_CHILD)


@pytest.mark.parametrize("path", ["", *ELSEWHERE])
def test_the_specs_used_here_fit_the_schema(path: str) -> None:
    assert list(violations(schema("AthensProxy", "spec"), spec_with(path))) == []


def test_reasons_are_given_for_existing_fields_only() -> None:
    assert set(NO_CHILD) - {node.path for node in LEAVES} == set()
