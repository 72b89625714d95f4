"""What stands in the way of a child of ours is taken away, and nothing that stands beside it in peace."""

from __future__ import annotations

from typing import Any

import pytest

from athens_operator.manifests import Manifest
from athens_operator.obstacles import clearing

PORTS = [{"name": "http", "port": 80}]
RECREATE = {"strategy": {"type": "Recreate"}}


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
            RECREATE,
            {"replicas": 5, "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}},
            {"strategy": {"type": "Recreate", "rollingUpdate": None}},
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
        ("Deployment", RECREATE, RECREATE),
        ("PodDisruptionBudget", {"maxUnavailable": "101%"}, {"maxUnavailable": 1}),
        ("NetworkPolicy", {"ingress": [{"from": [{}]}]}, {"ingress": []}),
    ],
)
def test_a_refusal_for_another_reason_changes_nothing(kind: str, wanted: dict[str, Any], live: dict[str, Any]) -> None:
    assert clearing(child(kind, wanted), child(kind, live)) is None
