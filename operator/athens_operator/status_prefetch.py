"""What became of the modules that `spec.prefetch` lists: `status.prefetch`, from the last pod of its Job. Pure.

A pod says it in the last line of its termination message. When the pod is gone, what it said stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from athens_operator.desired.names import COMPONENT_LABEL
from athens_operator.desired.prefetch import COMPONENT
from athens_operator.manifests import Manifest
from athens_operator.spec.proxy import AthensProxy
from athens_operator.status_observed import Observed

COUNTS = ("total", "succeeded", "failed")
MOST = 2**31 - 1


def prefetch_block(proxy: AthensProxy, observed: Observed) -> dict[str, int] | None:
    """`status.prefetch`; None while nothing was asked for or nothing is known."""
    if proxy.spec.prefetch is None:
        return None
    jobs = {ref.name for ref in observed.children if ref.kind == "Job"}
    told = [told for pod in _newest_first(observed.prefetch_pods, jobs) if (told := _told(pod))]
    return told[0] if told else dict(proxy.identity.status.get("prefetch") or {}) or None


def prefetch_pods(owned: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """The pods of prefetch Jobs among everything with the proxy's label, whether they run or have ended."""
    return tuple(
        body
        for body in owned
        if body["kind"] == "Pod" and (body["metadata"].get("labels") or {}).get(COMPONENT_LABEL) == COMPONENT
    )


def _newest_first(pods: Iterable[Manifest], jobs: set[str]) -> list[Manifest]:
    """Those of the Jobs that are ours now; a list that was replaced says nothing about the present one."""
    ours = [pod for pod in pods if any(owner["name"] in jobs for owner in pod["metadata"].get("ownerReferences") or ())]
    return sorted(ours, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), reverse=True)


def _told(pod: Mapping[str, Any]) -> dict[str, int]:
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        lines = str(((container.get("state") or {}).get("terminated") or {}).get("message") or "").splitlines()
        try:
            said = json.loads(lines[-1]) if lines else None
        except (ValueError, RecursionError):
            continue
        if isinstance(said, dict) and all(isinstance(said.get(name), int) for name in COUNTS):
            return {name: min(MOST, max(0, said[name])) for name in COUNTS}
    return {}
