"""Children that come and go with their fields: autoscaler, disruption budget, Ingress, and kinds installed later;
claims that grow, and stores that two proxies want.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from athens_operator.manifests import Manifest, Ref, ref_of
from athens_operator.resources import (
    AUTOSCALERS,
    CLAIMS,
    DISRUPTION_BUDGETS,
    HTTP_ROUTES,
    INGRESSES,
    NETWORK_POLICIES,
    PROMETHEUS_RULES,
    PROXIES,
    SERVICE_MONITORS,
    SERVICES,
    Resource,
)
from support.installation import OPERATOR_NAMESPACE
from support.kube_api import KubeApi, condition, until
from support.operator_process import OperatorProcess
from support.optional_crds import install_kind
from support.proxies import deployment_ref, proxy, proxy_ref
from support.tree import ROOT

GOLDEN: Path = ROOT / "tests/unit/operator/golden/s3-exposed.yaml"
EXAMPLES = [path for path in sorted((ROOT / "examples").glob("*.yaml")) if "to-be-replaced" in path.read_text()]


@pytest.fixture(scope="module")
def curious(shipped_role: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """An operator that looks for optional kinds every second."""
    log: Path = tmp_path_factory.mktemp("curious") / "operator.log"
    settings = {"NAMESPACE": OPERATOR_NAMESPACE, "POD_NAME": "curious", "COMPARE_EVERY": "10"}
    process = OperatorProcess(shipped_role, log, **settings)
    try:
        yield process.start().until_leading()
    finally:
        process.stop()


def shared(namespace: str) -> dict[str, Any]:
    """A store for several pods that no other test uses."""
    return {"storage": {"type": "external", "external": {"url": f"https://{namespace}.example.com"}}}


def child(api: KubeApi, resource: Resource, namespace: str, operator: OperatorProcess) -> Manifest:
    found: Manifest = until(
        lambda: api.get(resource.ref(namespace, "go")), f"{resource.kind} is there", context=operator.tail
    )
    return found


def status_of(api: KubeApi, namespace: str) -> Manifest:
    """The proxy's status, empty before the first."""
    return (api.get(proxy_ref(namespace)) or {}).get("status") or {}


def judged(api: KubeApi, ref: Ref) -> Manifest | None:
    """The object, once it has conditions."""
    live = api.get(ref)
    return live if condition(live, "ConfigurationValid") else None


def is_another(api: KubeApi, before: Manifest) -> bool:
    """Whether an object of the same name exists that is not the one from before."""
    live = api.get(ref_of(before))
    return live is not None and live["metadata"]["uid"] != before["metadata"]["uid"]


def until_gone(api: KubeApi, ref: Ref, operator: OperatorProcess) -> None:
    until(lambda: api.get(ref) is None, f"{ref} is gone", context=operator.tail)


def edit(api: KubeApi, namespace: str, **spec: Any) -> None:
    """Change fields of the proxy; None removes one."""
    identity = {"namespace": namespace, "name": "go"}
    api.edit({"apiVersion": PROXIES.api_version, "kind": PROXIES.kind, "metadata": identity, "spec": spec})


def test_children_follow_their_fields_and_foreign_ones_stay(
    curious: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    exposed = {
        **shared(namespace),
        "replicas": 2,
        "ingress": {"hosts": ["goproxy.example.com"]},
        "networkPolicy": {"enabled": True},
        "service": {"name": "modules"},
    }
    theirs = api.create(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"namespace": namespace, "name": "theirs", "labels": {"athensproxy.dev/proxy": "go"}},
            "spec": {"podSelector": {}},
        }
    )
    api.create(proxy(namespace, **exposed))
    for resource in (INGRESSES, NETWORK_POLICIES, DISRUPTION_BUDGETS):
        child(api, resource, namespace, curious)
    until(lambda: api.get(SERVICES.ref(namespace, "modules")), "the Service is there", context=curious.tail)

    edit(api, namespace, replicas=1, ingress=None, networkPolicy=None, service=None)

    for ref in (
        INGRESSES.ref(namespace, "go"),
        NETWORK_POLICIES.ref(namespace, "go"),
        DISRUPTION_BUDGETS.ref(namespace, "go"),
        SERVICES.ref(namespace, "modules"),
    ):
        until_gone(api, ref, curious)
    child(api, SERVICES, namespace, curious)
    assert api.get(ref_of(theirs)) == theirs


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_valid_and_its_pods_are_made(
    curious: OperatorProcess, api: KubeApi, namespace: str, file: Path
) -> None:
    """Nothing in it is missing and the API server takes every child; whether a pod starts is for the e2e tier."""
    names = []
    for document in yaml.safe_load_all(file.read_text()):
        if document["kind"] != "Namespace":
            api.create({**document, "metadata": {**document["metadata"], "namespace": namespace}})
        if document["kind"] == PROXIES.kind:
            names.append(document["metadata"]["name"])

    for name in names:
        found = until(partial(judged, api, proxy_ref(namespace, name)), "the proxy is judged", context=curious.tail)
        assert condition(found, "ConfigurationValid")["status"] == "True"
        assert condition(found, "SecretsResolved").get("status", "True") == "True"
        assert api.get(deployment_ref(namespace, name)) is not None


def test_a_bound_claim_grows_in_place(curious: OperatorProcess, api: KubeApi, namespace: str) -> None:
    """Binding is done by the real controller; the volume itself would be grown by a driver."""
    expandable = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": namespace},
        "provisioner": "example.com/none",
        "allowVolumeExpansion": True,
    }
    api.call("POST", "/apis/storage.k8s.io/v1/storageclasses", expandable)
    claim = {"size": "1Gi", "storageClassName": namespace}
    api.create(proxy(namespace, storage={"type": "disk", "disk": {"persistentVolumeClaim": claim}}))
    ref = CLAIMS.ref(namespace, "go-data")
    first = until(partial(api.get, ref), "the claim is there", context=curious.tail)
    api.create(volume_for(first))
    until(lambda: ((api.get(ref) or {}).get("status") or {}).get("phase") == "Bound", "the claim is bound")

    edit(api, namespace, storage={"disk": {"persistentVolumeClaim": {"size": "2Gi"}}})

    grown = until(partial(claim_asking_for, api, ref, "2Gi"), "the claim asks for more", context=curious.tail)
    assert grown["metadata"]["uid"] == first["metadata"]["uid"]


def test_a_store_of_another_namespace_is_used_by_consent_only(
    curious: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    def with_store(where: str, prefix: str) -> Manifest:
        s3 = {"bucket": f"modules-of-{namespace}", "region": "eu", "prefix": prefix}
        return proxy(where, storage={"type": "s3", "s3": s3})

    later = f"{namespace}-later"
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": later}})
    api.create(with_store(namespace, "go"))
    until(partial(api.get, deployment_ref(namespace)), "the first starts", context=curious.tail)
    api.create(with_store(later, "go/nested"))
    until(
        lambda: condition(api.get(proxy_ref(later)), "StorageReady").get("reason") == "StorageShared",
        "the second waits",
        context=curious.tail,
    )
    assert api.get(deployment_ref(later)) is None

    for where in (namespace, later):
        edit(api, where, storage={"allowSharing": True})

    until(partial(api.get, deployment_ref(later)), "the second starts", context=curious.tail)
    until(
        lambda: status_of(api, namespace).get("storage", {}).get("sharedWith") == [f"{later}/go"],
        "the first one's status names the second",
        context=curious.tail,
    )


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ({"scheduling": {"affinity": {"nodeAffinity": "oops"}}}, "Deployment go"),
        ({"networkPolicy": {"enabled": True, "allowFrom": [{"bogus": {}}]}}, "NetworkPolicy go"),
        ({"extraVolumes": [{"name": "a", "configMap": {"name": 7}}]}, "Deployment go"),
    ],
    ids=["affinity", "peer", "volume"],
)
def test_what_is_passed_through_and_refused_is_told_with_the_child(
    curious: OperatorProcess, api: KubeApi, namespace: str, field: dict[str, Any], kind: str
) -> None:
    """The schema leaves these to Kubernetes; the other children are made all the same."""
    api.create(proxy(namespace, **shared(namespace), **field))

    until(
        lambda: condition(api.get(proxy_ref(namespace)), "ConfigurationValid").get("reason") == "InvalidChild",
        "the refusal is told",
        context=curious.tail,
    )

    assert kind in condition(api.get(proxy_ref(namespace)), "ConfigurationValid")["message"]
    assert api.get(SERVICES.ref(namespace, "go")) is not None


def claim_asking_for(api: KubeApi, ref: Ref, size: str) -> Manifest | None:
    """The claim, once it asks for that size."""
    live = api.get(ref)
    return live if live and live["spec"]["resources"]["requests"]["storage"] == size else None


def volume_for(claim: Manifest) -> Manifest:
    """A volume that only this claim may bind."""
    metadata = claim["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": metadata["namespace"]},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": claim["spec"]["storageClassName"],
            "claimRef": {"namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]},
            "csi": {"driver": "none.example.com", "volumeHandle": metadata["name"]},
        },
    }


def test_autoscaling_takes_over_without_a_dip_and_gives_back(
    curious: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    """The controller of the autoscaler is real; without metrics it holds the bounds and nothing else."""
    seen: list[int] = []

    def replicas() -> int:
        body = api.get(deployment_ref(namespace)) or {}
        seen.append(int(body.get("spec", {}).get("replicas", -1)))
        return seen[-1]

    api.create(proxy(namespace, **shared(namespace), replicas=3))
    until(lambda: replicas() == 3, "three pods are wanted", context=curious.tail)
    seen.clear()
    edit(api, namespace, autoscaling={"minReplicas": 2, "maxReplicas": 6})
    child(api, AUTOSCALERS, namespace, curious)
    until(
        lambda: replicas() and status_of(api, namespace).get("observedGeneration") == 2,
        "the edit is seen",
        context=curious.tail,
    )
    scale = f"/apis/apps/v1/namespaces/{namespace}/deployments/go/scale"
    body = {"spec": {"replicas": 5}}
    api.call("PATCH", f"{scale}?fieldManager=an-autoscaler", body, content_type="application/merge-patch+json")
    edit(api, namespace, podMetadata={"labels": {"a": "b"}})
    until(
        lambda: (
            replicas()
            and (api.get(deployment_ref(namespace)) or {})["spec"]["template"]["metadata"]["labels"].get("a") == "b"
        ),
        "another edit has reached the Deployment",
        context=curious.tail,
    )

    assert replicas() == 5
    assert set(seen) == {3, 5}

    edit(api, namespace, autoscaling=None)
    until(lambda: replicas() == 3, "the number of the spec holds again", context=curious.tail)
    until_gone(api, AUTOSCALERS.ref(namespace, "go"), curious)


def test_kinds_that_are_installed_later_are_used_without_a_restart(
    curious: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    wanted: dict[str, Any] = {
        "httpRoute": {"parentRefs": [{"name": "edge"}]},
        "metrics": {"serviceMonitor": {"enabled": True}, "rules": {"enabled": True}},
    }
    api.create(proxy(namespace, **shared(namespace), **wanted))
    missing = until(
        lambda: status_of(api, namespace).get("missingCapabilities"),
        "what is missing is listed",
        context=curious.tail,
    )
    exposure = condition(api.get(proxy_ref(namespace)), "ExposureReady")
    assert [text.partition(" ")[0] for text in missing] == ["HTTPRoute", "ServiceMonitor", "PrometheusRule"]
    assert exposure["reason"] == "GatewayAPIMissing"

    for resource in (HTTP_ROUTES, SERVICE_MONITORS, PROMETHEUS_RULES):
        install_kind(api, resource)
    for resource in (HTTP_ROUTES, SERVICE_MONITORS, PROMETHEUS_RULES):
        first = child(api, resource, namespace, curious)
        api.delete(ref_of(first))
        until(partial(is_another, api, first), f"{resource.kind} is back", context=curious.tail)
    until(
        lambda: condition(api.get(proxy_ref(namespace)), "ExposureReady").get("reason") == "RouteNotAccepted",
        "no gateway has answered",
        context=curious.tail,
    )
    edit(api, namespace, httpRoute=None)
    until_gone(api, HTTP_ROUTES.ref(namespace, "go"), curious)
    every_optional_child_is_taken_word_by_word(api, namespace)


def every_optional_child_is_taken_word_by_word(api: KubeApi, namespace: str) -> None:
    """Strict validation against the projects' own schemas."""
    for rendered in yaml.safe_load_all(GOLDEN.read_text()):
        for resource in (HTTP_ROUTES, SERVICE_MONITORS):
            if rendered["kind"] != resource.kind:
                continue
            rendered["metadata"] |= {"namespace": namespace, "name": "golden"}
            path = resource.path(namespace=namespace, name="golden")
            query = "?fieldManager=athens-operator&force=true&fieldValidation=Strict&dryRun=All"
            body = json.loads(json.dumps(rendered))
            assert api.call("PATCH", path + query, body, content_type="application/apply-patch+yaml")["kind"]
