"""What the cluster may show of one AthensProxy, as the status tests write it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from athens_operator.conditions import timestamp
from athens_operator.desired import desired_objects
from athens_operator.manifests import Manifest, ref_of
from athens_operator.spec import AthensProxy
from athens_operator.status_observed import Observed, PolicyState, Readback
from athens_policy.decide import digest
from athens_policy.merge import PolicySource, merge
from athens_policy.render import render
from support.operator_values import INPUTS

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
MERGED = merge(tuple[PolicySource, ...]())
TEXT = render(MERGED)
DIGEST = digest(TEXT.encode())
OLD_DIGEST = "sha256:" + "0" * 64


def ago(**parts: float) -> datetime:
    return NOW - timedelta(**parts)


def policy_state(**changes: Any) -> PolicyState:
    """A file that was rendered without trouble."""
    return PolicyState(**{"text": TEXT, "digest": DIGEST, "merged": MERGED, **changes})


def pod(name: str = "go-1", *, ready: bool = True, since: datetime = NOW, **status: Any) -> Manifest:
    """A pod of the proxy; `status` replaces parts of its status."""
    entry = {"type": "Ready", "status": str(ready), "lastTransitionTime": timestamp(since)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "team-a", "creationTimestamp": timestamp(since)},
        "spec": {},
        "status": {"conditions": [entry], **status},
    }


def waiting(reason: str, message: str = "", **container: Any) -> dict[str, Any]:
    """Container statuses of a pod whose container waits."""
    state = {"waiting": {"reason": reason, "message": message}}
    return {"containerStatuses": [{"name": "athens", "image": "x:1", "ready": False, "state": state, **container}]}


def children(proxy: AthensProxy, *, available: bool = True, settled: bool = True, **deployment: Any) -> list[Manifest]:
    """The rendered children, with the status that a cluster would give them."""
    rendered = [dict(child) for child in desired_objects(proxy, TEXT, INPUTS)]
    wanted = proxy.spec.replicas
    for child in rendered:
        child["metadata"] = {**child["metadata"], "generation": 1}
        if child["kind"] == "PersistentVolumeClaim":
            child["status"] = {"phase": "Bound", "capacity": {"storage": "20Gi"}}
        if child["kind"] == "Deployment":
            ready = wanted if available else 0
            child["status"] = {
                "observedGeneration": 1,
                "replicas": wanted,
                "updatedReplicas": wanted if settled else 0,
                "readyReplicas": ready,
                "availableReplicas": ready,
                "conditions": [{"type": "Available", "status": str(available)}],
                **deployment,
            }
    return rendered


def observed(
    proxy: AthensProxy, *, live: list[Manifest] | None = None, pods: tuple[Manifest, ...] | None = None, **changes: Any
) -> Observed:
    """A healthy proxy whose pods enforce the wanted file, but for the changes."""
    found = children(proxy) if live is None else live
    running = tuple(pod(f"go-{number}") for number in range(proxy.spec.replicas)) if pods is None else pods
    claims = [child for child in found if child["kind"] == "PersistentVolumeClaim"]
    facts: dict[str, Any] = {
        "inputs": INPUTS,
        "children": {ref_of(child): child for child in found},
        "claim": claims[0] if claims else None,
        "pods": running,
        "readback": {entry["metadata"]["name"]: Readback(DIGEST) for entry in running},
        "policy": policy_state(),
        **changes,
    }
    return Observed(**facts)


def condition_of(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """One condition of a status; an empty mapping when it has none of that type."""
    found: list[Mapping[str, Any]] = [entry for entry in status["conditions"] if entry["type"] == kind]
    return found[0] if found else {}


def judged(status: Mapping[str, Any], kind: str) -> str:
    """Status and reason of one condition as `False/Propagating`; `-` when there is none of that type."""
    found = condition_of(status, kind)
    return f"{found['status']}/{found['reason']}" if found else "-"


def old_status(since: datetime, **verdicts: str) -> dict[str, Any]:
    """A status from before: condition types with the status they have had since a moment."""
    return {
        "conditions": [
            {"type": kind, "status": verdict, "reason": "Before", "message": "", "lastTransitionTime": timestamp(since)}
            for kind, verdict in verdicts.items()
        ]
    }
