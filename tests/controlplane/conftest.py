"""A real control plane for the whole run, one operator per module, one namespace per test.

Real: schemas and CEL, server-side apply, garbage collection, Deployments that make ReplicaSets and pods. Absent:
nodes, so pods stay Pending until a test writes their status and answers for them on a loopback address.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml

from support.controlplane import ControlPlane
from support.kube_api import KubeApi, condition, until
from support.operator_process import OperatorProcess
from support.tree import ROOT

OPERATOR_NAMESPACE = "athens-operator"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane.started(tmp_path_factory.mktemp("controlplane")) as plane:
        yield plane


@pytest.fixture(scope="session")
def api(plane: ControlPlane) -> KubeApi:
    """The API as an administrator, with our kinds installed and the operator's namespace made."""
    api = KubeApi(plane.url, plane.token, plane.ca)
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OPERATOR_NAMESPACE}})
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        crd = yaml.safe_load(path.read_text())
        created = api.create(crd)
        reference = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{created['metadata']['name']}"
        until(partial(_is_served, api, reference), f"{path.name} is served")
    return api


def _is_served(api: KubeApi, crd: str) -> bool:
    return bool(condition(api.call("GET", crd), "Established").get("status") == "True")


@pytest.fixture(scope="session")
def shipped_role(plane: ControlPlane, api: KubeApi, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kubeconfig with exactly the rights that the plain manifest gives to the operator."""
    for manifest in yaml.safe_load_all((ROOT / "deploy/install.yaml").read_text()):
        if manifest and (manifest["kind"] == "ServiceAccount" or manifest["apiVersion"].startswith("rbac.")):
            api.create(manifest)
    return kubeconfig_for(plane, api, tmp_path_factory.mktemp("shipped") / "kubeconfig")


def kubeconfig_for(plane: ControlPlane, api: KubeApi, path: Path, account: str = "athens-operator") -> Path:
    """A kubeconfig for a ServiceAccount of the operator's namespace."""
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
    address = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/serviceaccounts/{account}/token"
    token = api.call("POST", address, asked)["status"]["token"]
    cluster = {"server": plane.url, "certificate-authority": str(plane.ca)}
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


@pytest.fixture(scope="module")
def operator(shipped_role: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """One operator for all namespaces, leading, with no more rights than it is shipped with."""
    log: Path = tmp_path_factory.mktemp("operator") / "operator.log"
    process = OperatorProcess(shipped_role, log, NAMESPACE=OPERATOR_NAMESPACE, POD_NAME="first")
    try:
        yield process.start().until_leading()
    finally:
        process.stop()


@pytest.fixture
def namespace(api: KubeApi) -> str:
    """A namespace of the test's own; it is never waited for to go away."""
    name = f"team-{next(_numbers)}"
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"team": name}}})
    return name
