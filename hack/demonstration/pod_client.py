"""A go client inside the cluster: a Job that downloads a module's dependencies through the proxy's Service."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from demonstration.errors import DemoError
from demonstration.go_client import GoResult, client_settings
from demonstration.kubectl import Kubectl

_NAME: Final = "go-client"
_RESTRICTED: Final = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "runAsGroup": 1000,
    "fsGroup": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def download_in_pod(
    kubectl: Kubectl, *, namespace: str, image: str, module: Path, goproxy: str, deadline_s: float = 120
) -> GoResult:
    """Run `go mod download -json` for a module in a fresh pod with an empty module cache.

    Args:
        kubectl: The cluster.
        namespace: Where the pod runs.
        image: Has a go command; the proxy's own image does.
        module: Folder with go.mod and go.sum.
        goproxy: The pod's one way to modules.
        deadline_s: Seconds until the pod must have ended.

    Raises:
        DemoError: The pod did not end in time.
    """
    kubectl.run("delete", "job", _NAME, "--namespace", namespace, "--ignore-not-found", "--wait")
    files = {name: (module / name).read_text() for name in ("go.mod", "go.sum")}
    kubectl.apply(_config_map(namespace, files), _job(namespace, image, goproxy))
    job = kubectl.until("job", _NAME, namespace, _ended, "the go client's pod to end", deadline_s)
    output = kubectl.run("logs", f"job/{_NAME}", "--namespace", namespace, "--tail=-1")
    return GoResult(bool(job["status"].get("succeeded")), output)


def modules_in(result: GoResult) -> int:
    """How many modules `go mod download -json` reported as downloaded.

    Raises:
        DemoError: The download failed; the message is go's own.
    """
    if not result.succeeded:
        raise DemoError(f"go mod download failed:\n{result.output.strip()[-3000:]}")
    return result.output.count('"Zip":')


def _ended(job: dict[str, Any]) -> bool:
    status = job.get("status", {})
    return bool(status.get("succeeded") or status.get("failed"))


def _config_map(namespace: str, files: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": _NAME, "namespace": namespace},
        "data": files,
    }


def _job(namespace: str, image: str, goproxy: str) -> dict[str, Any]:
    places = {"HOME": "/scratch", "GOPATH": "/scratch/go", "GOMODCACHE": "/scratch/cache", "TMPDIR": "/scratch"}
    settings = {**places, **client_settings(goproxy), "NO_PROXY": ".svc,.cluster.local"}
    container = {
        "name": "go",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["go", "mod", "download", "-json"],
        "workingDir": "/module",
        "env": [{"name": name, "value": value} for name, value in settings.items()],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "module", "mountPath": "/module", "readOnly": True},
            {"name": "scratch", "mountPath": "/scratch"},
        ],
    }
    pod = {
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "securityContext": _RESTRICTED,
        "containers": [container],
        "volumes": [{"name": "module", "configMap": {"name": _NAME}}, {"name": "scratch", "emptyDir": {}}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": _NAME, "namespace": namespace},
        "spec": {"backoffLimit": 0, "ttlSecondsAfterFinished": 600, "template": {"spec": pod}},
    }
