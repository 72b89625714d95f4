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
from support.installation import OPERATOR_NAMESPACE, install_crds, kubeconfig_for
from support.kube_api import KubeApi
from support.operator_process import OperatorProcess
from support.tree import ROOT

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
    install_crds(api)
    return api


@pytest.fixture(scope="session")
def shipped_role(plane: ControlPlane, api: KubeApi, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kubeconfig with exactly the rights that the plain manifest gives to the operator."""
    for manifest in yaml.load_all((ROOT / "deploy/install.yaml").read_text(), yaml.CSafeLoader):
        if manifest and (manifest["kind"] == "ServiceAccount" or manifest["apiVersion"].startswith("rbac.")):
            api.create(manifest)
    return kubeconfig_for(plane, api, tmp_path_factory.mktemp("shipped") / "kubeconfig")


@pytest.fixture(scope="module")
def operator(shipped_role: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """One operator for all namespaces, leading, with no more rights than it is shipped with, none of which it lacks."""
    log: Path = tmp_path_factory.mktemp("operator") / "operator.log"
    process = OperatorProcess(shipped_role, log, NAMESPACE=OPERATOR_NAMESPACE, POD_NAME="first")
    try:
        yield process.start().until_leading()
    finally:
        process.stop()
    assert lacked_rights(process) == []


def lacked_rights(process: OperatorProcess) -> list[str]:
    """The lines of an operator's log in which the API server says that its account may not do something."""
    return [line for line in process.judged_lines() if "system:serviceaccount:" in line and " cannot " in line]


@pytest.fixture
def namespace(api: KubeApi) -> str:
    """A namespace of the test's own; it is never waited for to go away."""
    name = f"team-{next(_numbers)}"
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"team": name}}})
    return name
