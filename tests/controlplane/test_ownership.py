"""What is not ours is never written: foreign objects, namesakes; and what is missing is waited for."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from athens_operator.cluster import Conflict
from athens_operator.connection import connect
from athens_operator.kube import KubeCluster
from athens_operator.manifests import Manifest
from athens_operator.metrics import Metrics
from athens_operator.resources import CLAIMS, EVENTS, KNOWN, OPTIONAL_CHILDREN, PODS, PROXIES, SECRETS
from support.controlplane import ControlPlane
from support.kube_api import NAMESPACE, KubeApi, condition, until
from support.operator_process import OperatorProcess
from support.proxies import deny, deployment_ref, policy, proxy, proxy_ref, service_ref

PASSWORD = "correct-horse-battery-staple"
BASIC: dict[str, Any] = {"auth": {"basic": {"secretRef": {"name": "login"}}}}


def until_condition(operator: OperatorProcess, api: KubeApi, namespace: str, kind: str, *, reason: str) -> Any:
    return until(
        lambda: (
            ((found := condition(api.get(proxy_ref(namespace)), kind)) and found.get("reason") == reason and found)
            or None
        ),
        f"{kind} has the reason {reason}",
        context=lambda: (api.get(proxy_ref(namespace)) or {}).get("status"),
    )


def test_a_foreign_object_under_our_name_is_reported_and_not_touched(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    foreign = api.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"namespace": namespace, "name": "go"},
            "spec": {"ports": [{"port": 5432}], "selector": {"app": "database"}},
        }
    )
    api.create(proxy(namespace))

    found = until_condition(operator, api, namespace, "Available", reason="ChildConflict")

    assert "Service" in found["message"]
    assert "is not ours" in found["message"]
    until(
        lambda: any(body["reason"] == "ChildConflict" for body in api.list(EVENTS, namespace)),
        "an Event tells",
        context=operator.tail,
    )
    assert api.get(service_ref(namespace)) == foreign
    assert api.get(deployment_ref(namespace)) is not None  # the rest is still written

    api.delete(service_ref(namespace))
    api.edit(proxy(namespace, labels={"look": "again"}))
    until(lambda: api.get(service_ref(namespace)), "our Service takes the place", context=operator.tail)


def test_a_condition_of_somebody_else_stays_in_our_status(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    api.create(proxy(namespace, replicas=0))
    theirs = {
        "type": "backup.example.com/Done",
        "status": "True",
        "reason": "Saved",
        "message": "the modules were saved",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    until(lambda: condition(api.get(proxy_ref(namespace)), "Available"), "the status is there", context=operator.tail)
    path = PROXIES.path(namespace=namespace, name="go", subresource="status")
    body = {key: value for key, value in proxy(namespace).items() if key != "spec"}
    body["status"] = {"conditions": [theirs]}
    api.call("PATCH", f"{path}?fieldManager=backup", body, content_type="application/apply-patch+yaml")
    api.edit(proxy(namespace, replicas=0, suspend=True))

    until(
        lambda: (api.get(proxy_ref(namespace)) or {}).get("status", {}).get("observedGeneration") == 2,
        "our status is written anew",
        context=operator.tail,
    )
    assert condition(api.get(proxy_ref(namespace)), theirs["type"]) == theirs


def test_a_foreign_object_that_carries_our_label_is_not_touched_either(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    foreign = api.create(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"namespace": namespace, "name": "go", "labels": {"athensproxy.dev/proxy": "go"}},
        }
    )
    api.create(proxy(namespace))

    until_condition(operator, api, namespace, "Available", reason="ChildConflict")

    live = api.get(deployment_ref(namespace))
    assert live is not None
    account = api.call("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/go")
    assert account["metadata"]["resourceVersion"] == foreign["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("subresource", "stale"),
    [("", {"uid": "00000000-0000-0000-0000-000000000000"}), ("status", {"resourceVersion": "1"})],
    ids=["object", "status"],
)
def test_a_namesake_is_never_written(
    plane: ControlPlane, api: KubeApi, namespace: str, subresource: str, stale: dict[str, str]
) -> None:
    """Whatever the cache believes: the API server refuses a write that is meant for another object."""
    api.create(proxy(namespace))
    meant = {"namespace": namespace, "name": "go", **stale}
    body: Manifest = {**proxy(namespace), "metadata": meant, "status": {"phase": "Failed"}}
    before = api.get(proxy_ref(namespace))

    async def write() -> None:
        cluster = KubeCluster(await connect({"KUBECONFIG": str(plane.kubeconfig)}), Metrics(), user_agent="test")
        try:
            await cluster.apply(body, subresource=subresource, manager="test")
        finally:
            await cluster.close()

    with pytest.raises(Conflict):
        asyncio.run(write())

    assert before is not None
    after = api.get(proxy_ref(namespace))
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert "test" not in [entry["manager"] for entry in after["metadata"]["managedFields"]]


def test_a_proxy_made_again_under_its_name_gets_children_of_its_own(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    api.create(proxy(namespace))
    until(lambda: api.get(service_ref(namespace)), "the Service appears", context=operator.tail)

    api.delete(proxy_ref(namespace))
    again = api.create(proxy(namespace))

    def owned() -> bool:
        found = [api.get(service_ref(namespace)), api.get(deployment_ref(namespace))]
        return all(body and body["metadata"]["ownerReferences"][0]["uid"] == again["metadata"]["uid"] for body in found)

    until(owned, "the children belong to the new proxy", within_s=60, context=operator.tail)


def test_a_missing_secret_holds_the_first_pod_back_and_its_arrival_releases_it(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    api.create(proxy(namespace, **BASIC))
    found = until_condition(operator, api, namespace, "SecretsResolved", reason="SecretNotFound")
    assert "login" in found["message"]
    until_condition(operator, api, namespace, "Reconciling", reason="WaitingForSecret")
    assert api.get(deployment_ref(namespace)) is None

    secret: Manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": namespace, "name": "login"}}
    api.create({**secret, "stringData": {"username": "ann"}})
    until_condition(operator, api, namespace, "SecretsResolved", reason="SecretKeyMissing")
    api.edit({**secret, "stringData": {"password": PASSWORD}})
    until(lambda: api.get(deployment_ref(namespace)), "the Deployment appears", within_s=40, context=operator.tail)
    until_condition(operator, api, namespace, "SecretsResolved", reason="Resolved")

    generation = (api.get(deployment_ref(namespace)) or {})["metadata"]["generation"]
    api.delete(SECRETS.ref(namespace, "login"))
    api.edit(proxy(namespace, labels={"look": "again"}, **BASIC))
    until_condition(operator, api, namespace, "SecretsResolved", reason="SecretNotFound")
    assert (api.get(deployment_ref(namespace)) or {})["metadata"]["generation"] == generation


def test_a_rotated_secret_rolls_the_pods_and_a_relabelled_one_does_not(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    secret: Manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": namespace, "name": "login"}}
    api.create({**secret, "stringData": {"username": "ann", "password": PASSWORD}})
    api.create(proxy(namespace, **BASIC))
    before = until(lambda: api.get(deployment_ref(namespace)), "the Deployment appears", context=operator.tail)

    def look_again(nonce: str) -> None:
        asked = {"annotations": {"athensproxy.dev/requestedAt": nonce}}
        body = proxy(namespace, **BASIC)
        api.edit({**body, "metadata": {**body["metadata"], **asked}})
        until(
            lambda: (api.get(proxy_ref(namespace)) or {}).get("status", {}).get("lastHandledReconcileAt") == nonce,
            "the forced pass",
            context=operator.tail,
        )

    api.edit({**secret, "metadata": {**secret["metadata"], "labels": {"team": "x"}}})
    look_again("1")
    assert (api.get(deployment_ref(namespace)) or {})["metadata"]["generation"] == before["metadata"]["generation"]

    api.edit({**secret, "stringData": {"password": PASSWORD + "2"}})
    look_again("2")
    assert (api.get(deployment_ref(namespace)) or {})["metadata"]["generation"] > before["metadata"]["generation"]
    until(
        lambda: any(body["reason"] == "SecretRotated" for body in api.list(EVENTS, namespace)),
        "an Event tells",
        context=operator.tail,
    )


def test_no_secret_value_is_written_anywhere(operator: OperatorProcess, api: KubeApi, namespace: str) -> None:
    """Neither as it is nor encoded, in no object that exists afterwards, not in the log, not when a key is missing."""
    secret: Manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": namespace, "name": "login"}}
    api.create({**secret, "stringData": {"username": "ann", "password": PASSWORD, "token": f"{PASSWORD}-2"}})
    api.create({**secret, "metadata": {"namespace": namespace, "name": "half"}, "stringData": {"other": PASSWORD}})
    token = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "login", "key": "token"}}}
    api.create(proxy(namespace, **BASIC, extraEnv=[token]))
    api.create(proxy(namespace, "half", auth={"basic": {"secretRef": {"name": "half"}}}))
    until(lambda: api.get(deployment_ref(namespace)), "the Deployment appears", context=operator.tail)
    until(
        lambda: any(body["reason"] == "SecretMissing" for body in api.list(EVENTS, namespace)),
        "an Event tells of the missing key",
        context=operator.tail,
    )

    until(lambda: api.list(PODS, namespace), "a pod exists", context=operator.tail)

    kinds = [resource for resource in (*KNOWN.values(), NAMESPACE) if resource not in (SECRETS, *OPTIONAL_CHILDREN)]
    written = [body for resource in kinds for body in api.list(resource, namespace if resource.namespaced else "")]
    assert {"Deployment", "ConfigMap", "Event", "AthensProxy", "Pod"} <= {body["kind"] for body in written}
    for planted in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode().rstrip("=")[:-1]):
        assert planted not in json.dumps(written)
        assert planted not in operator.log.read_text()


def test_a_foreign_object_is_adopted_once_its_owner_consents(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    meta = {"namespace": namespace, "name": "go"}
    foreign: Manifest = {"apiVersion": "v1", "kind": "Service", "metadata": meta}
    api.create({**foreign, "spec": {"ports": [{"port": 5432}], "selector": {"app": "database"}}})
    created = api.create(proxy(namespace))
    found = until_condition(operator, api, namespace, "Available", reason="ChildConflict")
    consent = f"athensproxy.dev/adopt-by: {namespace}/go"
    assert consent in found["message"]

    api.edit({**foreign, "metadata": {**meta, "annotations": dict([consent.split(": ")])}})
    api.edit(proxy(namespace, labels={"look": "again"}))

    adopted = until(
        lambda: (service := api.get(service_ref(namespace)) or {})["metadata"].get("ownerReferences") and service,
        "the Service is ours",
        context=operator.tail,
    )
    assert adopted["metadata"]["ownerReferences"][0]["uid"] == created["metadata"]["uid"]
    assert 80 in [port["port"] for port in adopted["spec"]["ports"]]
    until(lambda: noted(api, namespace, "Adopted", "Service"), "an Event tells", context=operator.tail)


def noted(api: KubeApi, namespace: str, reason: str, text: str) -> bool:
    return any(body["reason"] == reason and text in body["note"] for body in api.list(EVENTS, namespace))


def test_a_namespace_goes_although_no_operator_runs(operator: OperatorProcess, api: KubeApi, namespace: str) -> None:
    """No finalizer, and no owner that waits for anybody."""
    storage: dict[str, Any] = {"storage": {"type": "disk", "disk": {"persistentVolumeClaim": {"size": "1Gi"}}}}
    api.create(policy(namespace, "base", deny("example.com/evil")))
    api.create(proxy(namespace, **storage))
    until(lambda: api.get(deployment_ref(namespace)), "the Deployment appears", context=operator.tail)
    operator.kill()
    try:
        where = NAMESPACE.ref("", namespace)
        api.delete(where)

        until(lambda: api.get(where) is None, "the namespace is gone", within_s=60, context=lambda: api.get(where))
    finally:
        operator.start().until_leading()


def test_a_claim_outlives_its_proxy_and_is_taken_over_by_the_next(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    storage: dict[str, Any] = {"storage": {"type": "disk", "disk": {"persistentVolumeClaim": {"size": "1Gi"}}}}
    claim = CLAIMS.ref(namespace, "go-data")
    api.create(proxy(namespace, **storage))
    before = until(lambda: api.get(claim), "the claim appears", context=operator.tail)
    until_condition(operator, api, namespace, "StorageReady", reason="ClaimPending")

    api.delete(proxy_ref(namespace))
    until(lambda: api.get(deployment_ref(namespace)) is None, "the Deployment is gone", within_s=60)
    api.create(proxy(namespace, **storage))
    until(lambda: api.get(deployment_ref(namespace)), "a new Deployment", within_s=60, context=operator.tail)

    after = api.get(claim)
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert condition(api.get(proxy_ref(namespace)), "Available").get("reason") != "ChildConflict"
    until(lambda: noted(api, namespace, "Retained", "claim go-data is kept"), "it is said", context=operator.tail)
    until(lambda: noted(api, namespace, "Adopted", "go-data"), "so is that", context=operator.tail)


def test_the_operator_never_lacked_a_right_that_it_is_shipped_with(operator: OperatorProcess) -> None:
    """Runs last in this module: all of the above happened under the shipped role."""
    assert [record["event"] for record in operator.records() if "forbidden" in str(record["event"])] == []
