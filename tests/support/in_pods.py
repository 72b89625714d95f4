"""Pods of the tests' own in a team's namespace: a script of `in_pod/` run with the Python of the proxy's image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from demonstration.kubectl import Manifest
from support.team import Team

SCRIPTS = Path(__file__).parent / "in_pod"
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "runAsGroup": 1000,
    "fsGroup": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def run_script(team: Team, name: str, *arguments: str, secrets: tuple[str, ...] = ()) -> None:
    """Start a script as a pod of that name and wait until it runs; each Secret is mounted at `/etc/<its name>`.

    Args:
        team: whose namespace.
        name: of the script, with dashes.
        arguments: of the script.
        secrets: names of Secrets.
    """
    script = SCRIPTS / f"{name.replace('-', '_')}.py"
    mounts = [{"name": secret, "mountPath": f"/etc/{secret}", "readOnly": True} for secret in secrets]
    container: dict[str, Any] = {
        "name": "script",
        "image": team.images.proxy,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", f"/script/{script.name}", *arguments],
        "env": [{"name": "HOME", "value": "/scratch"}, {"name": "TMPDIR", "value": "/scratch"}],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "script", "mountPath": "/script", "readOnly": True},
            {"name": "scratch", "mountPath": "/scratch"},
            *mounts,
        ],
    }
    pod = {
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": RESTRICTED,
        "containers": [container],
        "volumes": [
            {"name": "script", "configMap": {"name": name}},
            {"name": "scratch", "emptyDir": {}},
            *({"name": secret, "secret": {"secretName": secret}} for secret in secrets),
        ],
    }
    metadata = {"name": name, "namespace": team.namespace, "labels": {"app": name}}
    team.kubectl.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {script.name: script.read_text()}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod},
    )
    ready = ["--for=condition=Ready", "--timeout=90s"]
    team.kubectl.run("wait", f"pod/{name}", "--namespace", team.namespace, *ready, deadline_s=100)


def service_of(team: Team, name: str, *, service: str, port: int, target: int) -> Manifest:
    """A Service in front of such a pod."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": service, "namespace": team.namespace},
        "spec": {"selector": {"app": name}, "ports": [{"port": port, "targetPort": target}]},
    }
