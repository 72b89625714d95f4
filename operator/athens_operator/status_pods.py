"""Why pods do not run, as one sentence with a next step. Pure.

Reads what the kubelet and the Deployment controller already said; no permission to read logs is needed, because the
container falls back to its log for the termination message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from athens_operator.conditions import Condition, Verdict, is_true, one_line
from athens_operator.manifests import Manifest

AVAILABLE = "Available"
CANNOT_PULL = frozenset(
    {"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
)
CANNOT_START = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
MAX_FOREIGN_TEXT = 256


def is_serving(pod: Mapping[str, Any]) -> bool:
    """Whether Services send requests to the pod."""
    return "deletionTimestamp" not in pod["metadata"] and is_true(
        pod.get("status", {}).get("conditions") or (), "Ready"
    )


def pod_trouble(pods: Iterable[Manifest]) -> Condition | None:
    """The worst thing that keeps a pod from serving, as the condition Available=False; None when nothing is known.

    The youngest pods speak first: they run what the user wrote last.
    """
    waiting = [pod for pod in pods if not is_serving(pod) and "deletionTimestamp" not in pod["metadata"]]
    youngest_first = sorted(
        waiting, key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"]), reverse=True
    )
    for pod in youngest_first:
        trouble = _unschedulable(pod) or _container_trouble(pod)
        if trouble is not None:
            return trouble
    return None


def replica_failure(deployment: Manifest) -> Condition | None:
    """Why the Deployment controller cannot create pods, as the condition Available=False.

    The controller gives one reason for everything (FailedCreate), so only its message tells quota and pod security
    apart. Once all pods of the present template exist, it speaks of an older one, until the new ones are available.
    """
    status = deployment.get("status", {})
    if status.get("updatedReplicas", 0) >= deployment["spec"].get("replicas", 1):
        return None
    for condition in status.get("conditions") or ():
        if condition.get("type") != "ReplicaFailure" or condition.get("status") != "True":
            continue
        said = one_line(str(condition.get("message", "")), MAX_FOREIGN_TEXT)
        if "exceeded quota" in said:
            return _not_available(
                "QuotaExceeded", f"pods cannot be created: {said}; raise the quota or lower spec.resources"
            )
        if "violates PodSecurity" in said:
            return _not_available(
                "PodSecurityDenied", f"pods cannot be created: {said}; allow the restricted profile in this namespace"
            )
        return _not_available("NoReadyReplicas", f"pods cannot be created: {said}")
    return None


def _unschedulable(pod: Manifest) -> Condition | None:
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            said = one_line(str(condition.get("message", "")), MAX_FOREIGN_TEXT)
            return _not_available(
                "Unschedulable",
                f"no node takes pod {pod['metadata']['name']}: {said}; change spec.scheduling or spec.resources, "
                "or add a node",
            )
    return None


def _container_trouble(pod: Manifest) -> Condition | None:
    status = pod.get("status", {})
    containers: Sequence[Mapping[str, Any]] = [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]
    for container in containers:
        trouble = _waiting(pod, container) or _terminated(pod, container)
        if trouble is not None:
            return trouble
    return None


def _waiting(pod: Manifest, container: Mapping[str, Any]) -> Condition | None:
    waiting = container.get("state", {}).get("waiting") or {}
    reason, name = waiting.get("reason", ""), pod["metadata"]["name"]
    said = one_line(str(waiting.get("message", "")), MAX_FOREIGN_TEXT)
    if reason in CANNOT_PULL:
        return _not_available(
            "ImagePullFailed",
            f"pod {name}: image {container.get('image', '')} cannot be pulled: {said or reason}; "
            "correct spec.image or spec.version, or add spec.imagePullSecrets",
        )
    if reason in CANNOT_START:
        return _not_available("NoReadyReplicas", f"pod {name} cannot start: {said or reason}")
    return None


def _terminated(pod: Manifest, container: Mapping[str, Any]) -> Condition | None:
    """A container that ended and is not running well again; a clean first start has neither state."""
    ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
    if not ended or container.get("ready") or ended.get("exitCode") == 0:
        return None
    restarts = container.get("restartCount", 0)
    said = _last_line(str(ended.get("message", ""))) or f"exit code {ended.get('exitCode')}, {ended.get('reason', '')}"
    return _not_available(
        "CrashLooping",
        f"pod {pod['metadata']['name']} ({restarts} restart{'' if restarts == 1 else 's'}): {said}",
    )


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return one_line(lines[-1], MAX_FOREIGN_TEXT) if lines else ""


def _not_available(reason: str, message: str) -> Condition:
    return Condition(AVAILABLE, Verdict.FALSE, reason, message)
