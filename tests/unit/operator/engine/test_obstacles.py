"""What stands in the way of a child of ours is taken away, and nothing that stands beside it in peace."""

from __future__ import annotations

from typing import Any

import pytest

from athens_operator.manifests import Manifest
from athens_operator.obstacles import clearing, disowning

PORTS = [{"name": "http", "port": 80}]
THEIRS = {"name": "injected", "emptyDir": {}}


def child(kind: str, spec: dict[str, Any]) -> Manifest:
    return {"apiVersion": "x/v1", "kind": kind, "metadata": {"namespace": "a", "name": "go", "uid": "u"}, "spec": spec}


@pytest.mark.parametrize(
    ("kind", "wanted", "live", "patch"),
    [
        (
            "Service",
            {"type": "ClusterIP", "ports": PORTS},
            {"type": "LoadBalancer", "ports": [], "clusterIP": "10.0.0.1", "externalTrafficPolicy": "Local"},
            {"type": "ClusterIP", "ports": PORTS, "externalTrafficPolicy": None},
        ),
        ("PodDisruptionBudget", {"maxUnavailable": 1}, {"minAvailable": 2, "selector": {}}, {"minAvailable": None}),
        (
            "Deployment",
            {
                "strategy": {"type": "Recreate"},
                "template": {"spec": {"volumes": [{"name": "policy", "configMap": {"name": "go-policy"}}]}},
            },
            {
                "replicas": 5,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
                "template": {"spec": {"dnsPolicy": "x", "volumes": [{"name": "policy", "emptyDir": {}}, THEIRS]}},
            },
            {
                "strategy": {"type": "Recreate", "rollingUpdate": None},
                "template": {"spec": {"volumes": [{"name": "policy", "configMap": {"name": "go-policy"}}, THEIRS]}},
            },
        ),
    ],
)
def test_what_rules_ours_out_goes_and_the_rest_stays(
    kind: str, wanted: dict[str, Any], live: dict[str, Any], patch: dict[str, Any]
) -> None:
    assert clearing(child(kind, wanted), child(kind, live)) == child(kind, patch)


@pytest.mark.parametrize(
    ("kind", "wanted", "live"),
    [
        ("PodDisruptionBudget", {"maxUnavailable": "101%"}, {"maxUnavailable": 1}),
        ("NetworkPolicy", {"ingress": [{"from": [{}]}]}, {"ingress": []}),
    ],
)
def test_a_refusal_for_another_reason_is_left_as_it_is(kind: str, wanted: dict[str, Any], live: dict[str, Any]) -> None:
    assert clearing(child(kind, wanted), child(kind, live)) is None


def test_what_was_cleared_with_does_not_stay_ours() -> None:
    """Or a variable that the user takes out of the spec later would stay in the pods."""
    ours, clearing_entry, theirs = (
        {"manager": manager, "operation": operation}
        for manager, operation in (("athens-operator", "Apply"), ("athens-operator", "Update"), ("kubectl", "Update"))
    )
    metadata = {"namespace": "a", "name": "go", "uid": "u"}
    cleared = child("Deployment", {}) | {"metadata": {**metadata, "managedFields": [ours, clearing_entry, theirs]}}

    patch = disowning(cleared)

    assert patch is not None
    assert patch["metadata"] == {**metadata, "managedFields": [ours, theirs]}
    assert disowning(child("Service", {})) is None
