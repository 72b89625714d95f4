"""What somebody wrote beside our fields so that both together are refused, and the patch that takes it away. Pure.

Server-side apply leaves the fields of others alone. Most of them stand beside ours in peace; a few rule them out, and
without this a change of such a field could never be undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from athens_operator.manifests import Manifest
from athens_operator.resources import DEPLOYMENTS, DISRUPTION_BUDGETS, SERVICES

OF_OTHER_SERVICE_TYPES: Final = (
    "allocateLoadBalancerNodePorts",
    "externalName",
    "externalTrafficPolicy",
    "healthCheckNodePort",
    "loadBalancerClass",
    "loadBalancerSourceRanges",
)
COUNTS: Final = ("maxUnavailable", "minAvailable")


def clearing(wanted: Manifest, live: Manifest) -> Manifest | None:
    """The JSON merge patch for a spec, after which ours can be applied; None where nothing known stands in the way.

    Args:
        wanted: the manifest that was refused.
        live: the object as it is.
    """
    patch = _spec(wanted["kind"], wanted.get("spec") or {}, live.get("spec") or {})
    if not patch:
        return None
    names = {name: live["metadata"][name] for name in ("namespace", "name", "uid")}
    return {"apiVersion": wanted["apiVersion"], "kind": wanted["kind"], "metadata": names, "spec": patch}


def _spec(kind: str, wanted: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    if kind == SERVICES.kind:
        # Ports are keyed by number: who changes the number leaves an entry of theirs under the name of ours.
        foreign = _foreign(OF_OTHER_SERVICE_TYPES, wanted, live)
        return {"ports": wanted["ports"], **({"type": wanted["type"], **foreign} if "type" in wanted else {})}
    if kind == DISRUPTION_BUDGETS.kind:
        return _foreign(COUNTS, wanted, live)
    strategy = wanted.get("strategy") or {}
    if kind == DEPLOYMENTS.kind and "rollingUpdate" in (live.get("strategy") or {}) and "rollingUpdate" not in strategy:
        return {"strategy": {**strategy, "rollingUpdate": None}}  # both at once: a default would fill the gap
    return {}


def _foreign(names: tuple[str, ...], wanted: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None for name in names if name in live and name not in wanted}
