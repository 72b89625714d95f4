"""Turning autoscaling on or off never dips to one pod, and never overwrites what the autoscaler decided."""

from __future__ import annotations

from typing import Any

import pytest

from athens_operator.autoscaled import held_replicas
from athens_operator.cache import Cache
from athens_operator.children import Children
from athens_operator.desired import desired_objects
from athens_operator.desired.inputs import HeldReplicas, Inputs
from athens_operator.manifests import Manifest
from athens_operator.metrics import Metrics
from athens_operator.resources import DEPLOYMENTS
from athens_operator.spec import AthensProxy
from support.fake_cluster import FakeCluster, nobody_told
from support.operator_values import proxy_value

SCALED = {"storage": {"type": "external", "external": {"url": "https://store.example.com"}}}
AUTO = {**SCALED, "autoscaling": {"maxReplicas": 5}}


def live(replicas: int, *managers: str) -> Manifest:
    """A Deployment as the cache keeps it."""
    owned: Manifest = {"fieldsV1": {"f:spec": {"f:replicas": {}, "f:template": {}}}}
    fields: list[Manifest] = [{"manager": manager, **owned} for manager in managers]
    fields.append({"manager": "kubelet", "fieldsV1": {"f:status": {"f:replicas": {}}}})
    metadata = {"namespace": "team-a", "name": "go", "uid": "u", "resourceVersion": "7", "managedFields": fields}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"replicas": replicas}}
    cache = Cache()
    cache.put(body)
    kept = cache.get(DEPLOYMENTS.ref("team-a", "go"))
    assert kept is not None
    return kept


def deployment(proxy: AthensProxy, held: HeldReplicas | None = None) -> Manifest:
    inputs = Inputs(default_image="x:1", held_replicas=held)
    return next(child for child in desired_objects(proxy, "x", inputs) if child["kind"] == "Deployment")


@pytest.mark.parametrize(
    ("spec", "deployed", "held"),
    [
        (AUTO, live(3, "athens-operator"), HeldReplicas(3, "7")),
        (AUTO, live(0, "athens-operator"), HeldReplicas(2, "7")),
        (AUTO, live(3, "athens-operator", "kube-controller-manager"), None),
        (AUTO, live(3, "kubectl-scale"), None),
        (AUTO, live(3), None),
        (AUTO, None, None),
        (SCALED, live(3, "athens-operator"), None),
    ],
)
def test_the_number_is_held_only_while_nobody_else_writes_it(
    spec: dict[str, Any], deployed: Manifest | None, held: HeldReplicas | None
) -> None:
    assert held_replicas(proxy_value(spec), deployed) == held


def test_a_held_number_is_sent_for_exactly_the_version_that_was_seen() -> None:
    body = deployment(proxy_value(AUTO), HeldReplicas(3, "7"))

    assert (body["spec"]["replicas"], body["metadata"]["resourceVersion"]) == (3, "7")


def test_with_an_autoscaler_the_number_is_left_out_and_without_one_it_is_ours() -> None:
    assert "replicas" not in deployment(proxy_value(AUTO))["spec"]
    assert "resourceVersion" not in deployment(proxy_value(AUTO))["metadata"]
    assert deployment(proxy_value(SCALED), HeldReplicas(9, "7"))["spec"]["replicas"] == 1


async def test_a_new_version_alone_is_no_reason_to_write_again() -> None:
    cluster, cache, proxy = FakeCluster(), Cache(), proxy_value(AUTO)
    children = Children(cluster, cache, Metrics(), nobody_told())
    first = deployment(proxy)
    await children.apply(proxy, [first])
    version = (await cluster.get(DEPLOYMENTS.ref("team-a", "go")))["metadata"]["resourceVersion"]
    cluster.writes.clear()
    held = {**first, "metadata": {**first["metadata"], "resourceVersion": version}}

    await children.apply(proxy, [held])

    assert cluster.writes == []
