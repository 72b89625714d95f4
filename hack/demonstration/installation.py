"""The operator on a cluster, by Helm or by the plain manifest."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Final

from demonstration.errors import DemoError
from demonstration.kubectl import Kubectl
from demonstration.tools import CLUSTER, ROOT, Images, Listen, run

NAMESPACE: Final = "athens-operator"
RELEASE: Final = "athens-operator"
CHART: Final = ROOT / "charts/athens-operator"
INSTALL: Final = ROOT / "deploy/install.yaml"
CONTENT: Final = "athensproxy.dev/image-content"
_ROLLOUT_S: Final = 120


class Way(StrEnum):
    """How the operator gets onto the cluster."""

    HELM = "helm"
    MANIFESTS = "manifests"


def install(kubectl: Kubectl, images: Images, way: Way, listen: Listen) -> None:
    """Install the operator or bring it up to date, and wait until it runs.

    Raises:
        DemoError: The installation failed or the operator did not start in time.
    """
    if way is Way.HELM:
        _with_helm(kubectl, images, listen)
    else:
        _with_manifests(kubectl, images)
    try:
        kubectl.run(*_rollout(), deadline_s=_ROLLOUT_S + 10)
    except DemoError as stuck:
        raise DemoError(f"the operator did not start: {stuck}\n{kubectl.evidence(None, NAMESPACE)}") from stuck


def _with_helm(kubectl: Kubectl, images: Images, listen: Listen) -> None:
    repository, _, tag = images.operator.rpartition(":")
    annotation = CONTENT.replace(".", r"\.")
    values = {
        "image.repository": repository,
        "image.tag": tag,
        "defaults.image": images.proxy,
        f"podAnnotations.{annotation}": images.operator_content,
    }
    context = ["--kube-context", kubectl.context] if kubectl.context else []
    helm = Path(run([CLUSTER, "tool", "helm"], listen))
    command = [str(helm), "--kubeconfig", str(kubectl.kubeconfig), *context, "upgrade", "--install", "--take-ownership"]
    command += [RELEASE, str(CHART), "--namespace", NAMESPACE, "--create-namespace"]
    command += [word for name, value in values.items() for word in ("--set-string", f"{name}={value}")]
    run(command, lambda _: None)  # what helm has to complain about comes with the error


def _with_manifests(kubectl: Kubectl, images: Images) -> None:
    """Apply the file as it is; only a foreign registry or newer content is patched in, as an overlay would."""
    kubectl.apply_file(INSTALL)
    container = {
        "name": "operator",
        "image": images.operator,
        "env": [{"name": "ATHENS_OPERATOR_PROXY_IMAGE", "value": images.proxy}],
    }
    template = {"metadata": {"annotations": {CONTENT: images.operator_content}}, "spec": {"containers": [container]}}
    kubectl.patch("deployment", RELEASE, NAMESPACE, {"spec": {"template": template}}, how="strategic")


def _rollout() -> tuple[str, ...]:
    return ("rollout", "status", f"deployment/{RELEASE}", "--namespace", NAMESPACE, f"--timeout={_ROLLOUT_S}s")
