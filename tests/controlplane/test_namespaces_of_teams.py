"""Names, claims, quotas and pod security of a namespace: what is made of them, and what is said where it is not."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from athens_operator.manifests import Manifest
from athens_operator.resources import CHILDREN, CLAIMS, DEPLOYMENTS, EVENTS, PODS, PROXIES
from support.fake_pods import running_pod
from support.kube_api import NAMESPACE, KubeApi, Refused, condition, until
from support.operator_process import OperatorProcess
from support.proxies import deny, deployment_ref, policy, proxy, proxy_ref

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
    for wish, owners in (("Delete", ["AthensProxy"]), ("Retain", []), ("Delete", ["AthensProxy"])):
        keep(api, namespace, wish)
        until(partial(_has_owners, api, namespace, owners), f"{wish} is followed", context=operator.tail)

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


def until_unavailable(api: KubeApi, namespace: str, reason: str) -> str:
    found: dict[str, Any] = until(
        lambda: (
            held if (held := condition(api.get(proxy_ref(namespace)), "Available")).get("reason") == reason else None
        ),
        f"Available has the reason {reason}",
        context=lambda: (api.get(proxy_ref(namespace)) or {}).get("status"),
    )
    return str(found["message"])


def test_a_quota_that_is_used_up_is_named(operator: OperatorProcess, api: KubeApi, namespace: str) -> None:
    quotas = f"/api/v1/namespaces/{namespace}/resourcequotas"
    quota: Manifest = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}}
    api.call("POST", quotas, {**quota, "spec": {"hard": {"pods": "0"}}})
    until(lambda: api.call("GET", f"{quotas}/few").get("status", {}).get("hard"), "the quota counts")
    api.create(proxy(namespace))

    said = until_unavailable(api, namespace, "QuotaExceeded")

    assert "exceeded quota: few" in said
    assert "raise the quota" in said


def test_pod_security_that_refuses_a_pod_is_named_and_a_corrected_spec_is_enough(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    host = [{"name": "host", "hostPath": {"path": "/"}}]
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.edit({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}})
    api.create(proxy(namespace, extraVolumes=host, rollout={"minReadySeconds": 0}))

    said = until_unavailable(api, namespace, "PodSecurityDenied")
    where = {"namespace": namespace, "name": "go"}
    none: dict[str, Any] = {"spec": {"extraVolumes": None}}
    api.edit({"apiVersion": PROXIES.api_version, "kind": PROXIES.kind, "metadata": where, **none})

    assert 'volume "host" uses restricted volume type "hostPath"' in said
    until(
        lambda: condition(api.get(proxy_ref(namespace)), "Available").get("reason") not in (None, "PodSecurityDenied"),
        "it is no longer said, although the new pod still starts",
        context=lambda: (api.get(proxy_ref(namespace)) or {}).get("status"),
    )
    with running_pod(api, namespace):
        until(
            lambda: condition(api.get(proxy_ref(namespace)), "Available").get("status") == "True",
            "a pod of the corrected spec serves",
            context=lambda: (api.get(proxy_ref(namespace)) or {}).get("status"),
        )


def test_a_namespace_that_is_deleted_goes_while_the_operator_repairs(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    """Children are deleted one by one while their proxy may still be there; that is nobody's mistake."""
    claim: dict[str, Any] = {"type": "disk", "disk": {"persistentVolumeClaim": {"size": "1Gi"}}}
    api.create(policy(namespace, "base", deny("example.com/evil")))
    for number in range(5):
        api.create(proxy(namespace, f"go-{number}", storage=claim))
    until(lambda: len(api.list(DEPLOYMENTS, namespace)) == 5, "every proxy has pods", context=operator.tail)
    written = operator.log.stat().st_size

    api.delete(NAMESPACE.ref("", namespace))
    until(lambda: api.get(NAMESPACE.ref("", namespace)) is None, "the namespace is gone", within_s=60)

    said = operator.log.read_bytes()[written:].decode()
    assert [line for line in said.splitlines() if '"level": "error"' in line] == []
