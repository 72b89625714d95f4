"""Claims that stay or go as the spec says, the names that children get, and pauses that are announced."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from athens_operator.resources import CHILDREN, CLAIMS, EVENTS, PODS, PROXIES
from support.fake_pods import running_pod
from support.kube_api import KubeApi, Refused, condition, until
from support.operator_process import OperatorProcess
from support.proxies import deployment_ref, proxy, proxy_ref

CLAIM: dict[str, Any] = {"type": "disk", "disk": {"persistentVolumeClaim": {"size": "1Gi"}}}


def owners_of_claim(api: KubeApi, namespace: str) -> list[str] | None:
    """The kinds that own the claim; None while there is none."""
    claim = api.get(CLAIMS.ref(namespace, "go-data"))
    return [owner["kind"] for owner in claim["metadata"].get("ownerReferences", ())] if claim else None


def keep(api: KubeApi, namespace: str, policy: str) -> None:
    where = {"namespace": namespace, "name": "go"}
    spec = {"deletionPolicy": {"storage": policy}}
    api.edit({"apiVersion": PROXIES.api_version, "kind": PROXIES.kind, "metadata": where, "spec": spec})


def test_a_claim_goes_with_its_proxy_where_that_is_wanted_and_the_wish_can_be_changed(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    """Kubernetes deletes it, not the operator, so it also goes when no operator runs."""
    api.create(proxy(namespace, storage=CLAIM, replicas=0))
    until(lambda: owners_of_claim(api, namespace) == [], "a claim without an owner", context=operator.tail)
    for policy, owners in (("Delete", ["AthensProxy"]), ("Retain", []), ("Delete", ["AthensProxy"])):
        keep(api, namespace, policy)
        until(partial(_has_owners, api, namespace, owners), f"{policy} is followed", context=operator.tail)

    api.delete(proxy_ref(namespace))

    until(lambda: owners_of_claim(api, namespace) is None, "the claim is gone", within_s=60, context=operator.tail)


def _has_owners(api: KubeApi, namespace: str, owners: list[str]) -> bool:
    return owners_of_claim(api, namespace) == owners


@pytest.mark.parametrize("name", ["athens", "n" + "0123456789" * 4 + "-nine-end"])
def test_a_name_of_any_length_that_is_taken_gets_children_and_pods(
    operator: OperatorProcess, api: KubeApi, namespace: str, name: str
) -> None:
    """`athens` would make Kubernetes inject variables that the proxy takes for its own."""
    assert len(name) in (6, 50)
    everything = {
        "storage": {
            "type": "disk",
            "disk": {"persistentVolumeClaim": {"size": "1Gi", "accessModes": ["ReadWriteMany"]}},
        },
        "autoscaling": {"maxReplicas": 3},
        "ingress": {"hosts": ["goproxy.example.com"]},
        "networkPolicy": {"enabled": True},
    }
    api.create(proxy(namespace, name, **everything))
    label = f"athensproxy.dev/proxy%3D{name}"
    for resource in (*CHILDREN, PODS):
        until(partial(api.list, resource, namespace, label=label), f"{resource.kind} is there", context=operator.tail)

    pod = api.list(PODS, namespace, label=label)[0]["spec"]
    assert pod["enableServiceLinks"] is False
    with pytest.raises(Refused):
        api.create(proxy(namespace, name + "x" * (51 - len(name))))


def test_a_rollout_that_leaves_nobody_serving_is_announced(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    """As on a volume for one node at a time, where the old pod has to end before the new one starts."""
    api.create(proxy(namespace, "volume", storage=CLAIM))
    recreated: dict[str, Any] = {"rollout": {"strategy": "Recreate", "minReadySeconds": 0}}
    api.create(proxy(namespace, **recreated))
    with running_pod(api, namespace):
        until(
            lambda: condition(api.get(proxy_ref(namespace)), "Ready").get("status") == "True",
            "the proxy is Ready",
            context=operator.tail,
        )
        api.edit(proxy(namespace, **recreated, server={"logLevel": "debug"}))

        until(
            lambda: any(
                body["reason"] == "RolloutStarted" and "old pods end before new ones start" in body["note"]
                for body in api.list(EVENTS, namespace)
            ),
            "it is announced",
            context=lambda: [body["note"] for body in api.list(EVENTS, namespace)],
        )
    assert (api.get(deployment_ref(namespace, "volume")) or {})["spec"]["strategy"] == {"type": "Recreate"}
