"""Ways to install: one namespace with a Role alone, and an operator that comes before its CRDs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from athens_operator.manifests import Manifest
from support.controlplane import ControlPlane
from support.installation import install_crds, kubeconfig_for
from support.kube_api import RBAC, KubeApi, condition, until
from support.operator_process import OperatorProcess
from support.proxies import deny, deployment_ref, policy, policy_file_ref, proxy, proxy_ref
from support.tree import ROOT

CLUSTER_SCOPED = {
    "clusterdownloadpolicies",
    "clusterdownloadpolicies/status",
    "namespaces",
    "customresourcedefinitions",
}


def namespaced_rules() -> list[Manifest]:
    """The shipped rules without those for what lies outside a namespace."""
    shipped = list(yaml.safe_load_all((ROOT / "deploy/install.yaml").read_text()))
    rules = next(
        body["rules"]
        for body in shipped
        if body and body["kind"] == "ClusterRole" and body["metadata"]["name"] == "athens-operator"
    )
    return [rule for rule in rules if not CLUSTER_SCOPED & set(rule["resources"])]


def test_a_role_in_one_namespace_is_enough(
    plane: ControlPlane, api: KubeApi, shipped_role: Path, namespace: str, tmp_path: Path
) -> None:
    """The account is bound in this namespace and for its Lease, nowhere else."""
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"namespace": "athens-operator", "name": namespace},
    }
    api.create(account)
    subject = [{"kind": "ServiceAccount", "name": namespace, "namespace": "athens-operator"}]
    lease = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "patch"]}
    for where, rules in ((namespace, namespaced_rules()), ("athens-operator", [lease])):
        metadata = {"namespace": where, "name": namespace}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": namespace}
        api.create({"apiVersion": RBAC, "kind": "Role", "metadata": metadata, "rules": rules})
        api.create(
            {"apiVersion": RBAC, "kind": "RoleBinding", "metadata": metadata, "roleRef": reference, "subjects": subject}
        )
    kubeconfig = kubeconfig_for(plane, api, tmp_path / "kubeconfig", account=namespace)
    operator = OperatorProcess(
        kubeconfig, tmp_path / "log", NAMESPACE="athens-operator", WATCH_NAMESPACES=namespace, LEASE_NAME=namespace
    )
    try:
        operator.start().until_leading()
        api.create(policy(namespace, "base", deny("example.com/evil")))
        api.create(proxy(namespace))
        until(lambda: api.get(deployment_ref(namespace)), "the Deployment appears", context=operator.tail)
        until(
            lambda: condition(api.get(proxy_ref(namespace)), "ConfigurationValid").get("status") == "True",
            "a status appears",
            context=operator.tail,
        )

        api.edit(policy(namespace, "base", deny("example.com/worse")))
        until(
            lambda: "example.com/worse" in (api.get(policy_file_ref(namespace)) or {})["data"]["download.hcl"],
            "the edit arrives by the watch",
            context=operator.tail,
        )
        assert [record for record in operator.records() if "forbidden" in str(record["event"])] == []
    finally:
        operator.stop()


def serve(api: KubeApi, change: Callable[[dict[str, Any]], object]) -> None:
    """Have the API server serve the kind with a changed schema of its spec."""
    crd = yaml.safe_load((ROOT / "crds/athensproxies.yaml").read_text())
    change(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"])
    api.edit(crd)


def test_an_operator_that_comes_before_its_crds_waits_for_them_and_does_not_start_over_old_ones(tmp_path: Path) -> None:
    with ControlPlane.started(tmp_path / "plane") as plane:
        api = KubeApi(plane.url, plane.token, plane.ca)
        operator = OperatorProcess(plane.kubeconfig, tmp_path / "log", NAMESPACE="default")
        try:
            operator.start()
            until(
                lambda: "athensproxies" in operator.tail() and operator.probe("/readyz")[0] == 503,
                "it says what it waits for",
                context=operator.tail,
            )
            assert "not listed yet: athensproxies" in operator.probe("/readyz")[1]
            assert operator.probe("/healthz")[0] == 200

            install_crds(api)
            operator.until_leading(within_s=60)
            api.create(proxy("default"))

            until(lambda: api.get(deployment_ref("default")), "the Deployment appears", context=operator.tail)
            assert not operator.has_ended()
            operator.stop()

            serve(api, lambda spec: spec.pop("acceptSelectedPolicies"))
            assert operator.start().wait() == 1
            assert "athensproxies lack spec.acceptSelectedPolicies" in operator.tail(1)
            assert "kubectl apply -f deploy/install.yaml" in operator.tail(1)

            serve(api, lambda spec: spec.update(later={"type": "string"}))
            operator.start().until_leading()
        finally:
            operator.stop()
