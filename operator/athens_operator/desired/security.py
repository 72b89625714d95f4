"""The security contexts of our pods; they meet the restricted Pod Security Standard."""

from __future__ import annotations

from athens_operator.manifests import Manifest
from athens_operator.spec.proxy import AthensProxy
from athens_operator.spec.workload import SecurityProfile


def pod_identity(proxy: AthensProxy) -> Manifest:
    """The context of a pod; where the platform assigns ids we must name none."""
    ids = {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000, "fsGroupChangePolicy": "OnRootMismatch"}
    assigned = proxy.spec.security.profile is SecurityProfile.PLATFORM_ASSIGNED
    return {"runAsNonRoot": True, **({} if assigned else ids), "seccompProfile": {"type": "RuntimeDefault"}}


def unprivileged() -> Manifest:
    """The context of a container."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
