"""An operator that lacks a right which it can do without goes on with everything else and says what it lacks."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from athens_operator.manifests import Manifest
from support.controlplane import ControlPlane
from support.fake_pods import running_pod
from support.installation import OPERATOR_NAMESPACE, kubeconfig_for
from support.kube_api import RBAC, KubeApi, condition, until
from support.operator_process import OperatorProcess
from support.proxies import deployment_ref, proxy, proxy_ref
from support.tree import ROOT

LESSER = "lesser"
WITHHELD = {"pods", "replicasets", "events", "poddisruptionbudgets"}


@pytest.fixture(scope="module")
def lesser(
    plane: ControlPlane, api: KubeApi, shipped_role: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """An operator with the shipped role but for what is withheld."""
    assert shipped_role.exists()
    api.create(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": OPERATOR_NAMESPACE, "name": LESSER}}
    )
    for manifest in yaml.safe_load_all((ROOT / "deploy/install.yaml").read_text()):
        if manifest and manifest["kind"] == "ClusterRole" and manifest["metadata"]["name"] == "athens-operator":
            api.create({**manifest, "metadata": {"name": LESSER}, "rules": rules_without(WITHHELD)})
        if manifest and manifest["kind"].endswith("RoleBinding") and is_for_operator(manifest):
            api.create(bound_to_lesser(manifest))
    folder = tmp_path_factory.mktemp(LESSER)
    kubeconfig = kubeconfig_for(plane, api, folder / "kubeconfig", account=LESSER)
    process = OperatorProcess(
        kubeconfig,
        folder / "operator.log",
        NAMESPACE=OPERATOR_NAMESPACE,
        POD_NAME=LESSER,
        LEASE_NAME=LESSER,
        COMPARE_EVERY="5",
    )
    try:
        yield process.start().until_leading()
    finally:
        process.stop()


def rules_without(withheld: Collection[str]) -> list[Manifest]:
    """The rules of the shipped role but for some kinds."""
    shipped = yaml.safe_load_all((ROOT / "deploy/install.yaml").read_text())
    role = next(
        body
        for body in shipped
        if body and (body["kind"], body["metadata"]["name"]) == ("ClusterRole", OPERATOR_NAMESPACE)
    )
    rules = [
        {**rule, "resources": [name for name in rule["resources"] if name not in withheld]} for rule in role["rules"]
    ]
    return [rule for rule in rules if rule["resources"]]


def is_for_operator(binding: Manifest) -> bool:
    return any(subject["name"] == "athens-operator" for subject in binding["subjects"])


def bound_to_lesser(binding: Manifest) -> Manifest:
    bound = deepcopy(binding)
    bound["metadata"]["name"] = f"{LESSER}-{binding['metadata']['name']}"
    bound["subjects"] = [{"kind": "ServiceAccount", "name": LESSER, "namespace": OPERATOR_NAMESPACE}]
    if binding["kind"] == "ClusterRoleBinding":
        bound["roleRef"] = {"apiGroup": RBAC.partition("/")[0], "kind": "ClusterRole", "name": LESSER}
    return bound


def test_without_pods_and_replica_sets_proxies_are_served_and_the_status_says_what_is_missing(
    lesser: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    api.create(proxy(namespace))

    until(lambda: api.get(deployment_ref(namespace)), "the Deployment appears", context=lesser.tail)
    body = until(
        lambda: (found := api.get(proxy_ref(namespace))) and found.get("status") and found,
        "there is a status",
        context=lesser.tail,
    )

    missing = body["status"]["missingCapabilities"]
    assert [text.partition(":")[0] for text in missing] == [
        "poddisruptionbudgets.policy",
        "pods",
        "replicasets.apps",
        "events.events.k8s.io",
    ]
    assert "the operator's role lacks events.events.k8s.io: create" in lesser.log.read_text()
    assert condition(body, "PolicyProgrammed")["reason"] == "ReadbackDisabled"
    assert lesser.probe("/readyz")[0] == 200


def test_rights_that_are_given_back_are_used_without_a_restart(
    lesser: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    """Runs last in this module: nothing is withheld any more."""
    role = {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": LESSER}}
    api.create(proxy(namespace, rollout={"minReadySeconds": 0}))
    until(lambda: missing(api, namespace), "what is missing is said", context=lesser.tail)

    api.edit({**role, "rules": rules_without(())})

    with running_pod(api, namespace):
        until(lambda: not missing(api, namespace), "nothing is missing", within_s=60, context=lesser.tail)
        until(
            lambda: condition(api.get(proxy_ref(namespace)), "PolicyProgrammed").get("reason") == "Programmed",
            "pods are asked what they enforce",
            context=lambda: (api.get(proxy_ref(namespace)) or {}).get("status"),
        )
    assert not lesser.has_ended()


def missing(api: KubeApi, namespace: str) -> list[str]:
    status = (api.get(proxy_ref(namespace)) or {}).get("status") or {}
    return list(status.get("missingCapabilities", ()))
