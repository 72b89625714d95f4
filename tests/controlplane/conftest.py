"""A real control plane for the whole run, one operator per module, one namespace per test.

Real: schemas and CEL, server-side apply, garbage collection, Deployments that make ReplicaSets and pods. Absent:
nodes, so pods stay Pending until a test writes their status and answers for them on a loopback address.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
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
        until(
            lambda reference=reference: condition(api.call("GET", reference), "Established").get("status") == "True",
            f"{path.name} is served",
        )
    return api


@pytest.fixture(scope="module")
def operator(plane: ControlPlane, api: KubeApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """One operator for all namespaces, leading."""
    log: Path = tmp_path_factory.mktemp("operator") / "operator.log"
    process = OperatorProcess(plane.kubeconfig, log, NAMESPACE=OPERATOR_NAMESPACE, POD_NAME="first")
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
