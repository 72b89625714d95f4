"""What an administrator does before the operator starts: kinds, accounts and their credentials."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import yaml

from athens_operator.manifests import Manifest
from support.controlplane import ControlPlane
from support.kube_api import KubeApi, condition, until
from support.tree import ROOT

OPERATOR_NAMESPACE = "athens-operator"


def install_crds(api: KubeApi, *crds: Manifest) -> None:
    """Create our kinds, or only the given ones, and wait until the API server serves them."""
    all_kinds = (yaml.load(path.read_text(), yaml.CSafeLoader) for path in sorted((ROOT / "crds").glob("*.yaml")))
    for crd in crds or all_kinds:
        created = api.create(crd)
        reference = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{created['metadata']['name']}"
        until(partial(_is_served, api, reference), f"{created['metadata']['name']} is served")


def _is_served(api: KubeApi, crd: str) -> bool:
    return bool(condition(api.call("GET", crd), "Established").get("status") == "True")


def kubeconfig_for(
    plane: ControlPlane, api: KubeApi, path: Path, account: str = "athens-operator", *, server: str = ""
) -> Path:
    """A kubeconfig for a ServiceAccount of the operator's namespace, to the API server or to what stands before it."""
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
    address = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/serviceaccounts/{account}/token"
    token = api.call("POST", address, asked)["status"]["token"]
    cluster = {"server": server or plane.url, "certificate-authority": str(plane.ca)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    path.write_text(yaml.safe_dump(config))
    return path
