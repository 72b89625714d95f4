"""What is shipped, judged by the API server's own schemas: no unknown field, no wrong type, no missing name."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from athens_operator.resources import PROMETHEUS_RULES, SERVICE_MONITORS
from localcluster.binaries import ensure
from manifests.check import VARIANTS
from manifests.derive import INSTALL, rendered
from support.controlplane import ControlPlane
from support.installation import OPERATOR_NAMESPACE
from support.kube_api import KubeApi
from support.optional_crds import install_kind, is_installed
from support.tree import ROOT

NAMESPACES = ("team-a", "team-b", "team-c")
FILES = [INSTALL, *sorted((ROOT / "examples").glob("*.yaml"))]


@pytest.fixture(scope="module", autouse=True)
def namespaces(api: KubeApi) -> None:
    """A dry run creates nothing, so what a file creates for itself has to be there before."""
    for name in NAMESPACES:
        api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


@pytest.fixture(scope="module", autouse=True)
def monitoring(api: KubeApi) -> None:
    """Kinds that the chart makes objects of where it is told to; another file may have installed them before."""
    for resource in (SERVICE_MONITORS, PROMETHEUS_RULES):
        if not is_installed(api, resource):
            install_kind(api, resource)


def dry_run(plane: ControlPlane, stream: str) -> subprocess.CompletedProcess[str]:
    command = [str(ensure("kubectl")), "--kubeconfig", str(plane.kubeconfig), "apply", "--filename", "-"]
    command += ["--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict"]
    return subprocess.run(command, input=stream, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("values", VARIANTS, ids=lambda values: ",".join(values) or "defaults")
def test_the_api_server_accepts_every_variant_of_the_chart(plane: ControlPlane, values: tuple[str, ...]) -> None:
    judged = dry_run(plane, rendered(*values))

    assert judged.returncode == 0, judged.stderr
    assert f"deployment.apps/{OPERATOR_NAMESPACE}" in judged.stdout


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_the_api_server_accepts_every_file_that_users_apply(plane: ControlPlane, file: Path) -> None:
    judged = dry_run(plane, file.read_text())

    assert judged.returncode == 0, judged.stderr
    assert "Warning" not in judged.stderr
