"""Values of the pure half of the operator, as its tests write them."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from athens_operator.desired.inputs import Inputs
from athens_operator.manifests import Manifest
from athens_operator.policies import Policy
from athens_operator.spec import AthensProxy

INPUTS = Inputs(default_image="registry.example.com/athens/proxy:v0.1.0", operator_version="v0.1.0")
UID = "3f1a6c1e-0000-4000-8000-000000000001"
DISK: Mapping[str, Any] = {"type": "disk", "disk": {"persistentVolumeClaim": {"size": "20Gi"}}}
MEMORY: Mapping[str, Any] = {"type": "memory", "memory": {}}


def proxy_body(
    spec: Mapping[str, Any] | None = None,
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    status: Mapping[str, Any] | None = None,
) -> Manifest:
    """An AthensProxy `team-a/go` in generation 4, on disk unless the spec says otherwise."""
    return {
        "apiVersion": "athensproxy.dev/v1beta1",
        "kind": "AthensProxy",
        "metadata": {
            "name": "go",
            "namespace": "team-a",
            "uid": UID,
            "generation": 4,
            "labels": dict(labels or {}),
            "annotations": dict(annotations or {}),
        },
        "spec": deepcopy({"storage": DISK, **(spec or {})}),
        "status": dict(status or {}),
    }


def proxy_value(spec: Mapping[str, Any] | None = None, **rest: Any) -> AthensProxy:
    """The same, parsed."""
    return AthensProxy.parse(proxy_body(spec, **rest))


def policy_value(
    name: str = "base",
    *,
    namespace: str = "team-a",
    kind: str = "DownloadPolicy",
    generation: int = 1,
    **spec: Any,
) -> Policy:
    """A policy that selects every proxy of its namespace unless the spec says otherwise."""
    where = {"namespace": namespace} if kind == "DownloadPolicy" else {}
    return Policy.parse(
        {
            "apiVersion": "athensproxy.dev/v1beta1",
            "kind": kind,
            "metadata": {"name": name, **where, "uid": f"uid-{name}", "generation": generation},
            "spec": {"proxySelector": {}, **spec},
        }
    )


def rule(name: str = "one", *patterns: str, mode: str = "deny", **rest: str) -> dict[str, Any]:
    """A rule as users write it."""
    return {"name": name, "patterns": list(patterns or ("example.com/x",)), "mode": mode, **rest}
