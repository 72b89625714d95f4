"""What somebody wrote beside our fields so that both together are refused, and the patch that takes it away. Pure.

Server-side apply leaves the fields of others alone. Most of them stand beside ours in peace; a few rule them out, and
without this a change of such a field could never be undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from athens_operator.cluster import FIELD_MANAGER
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


def disowning(cleared: Manifest) -> Manifest | None:
    """The patch after which only what is applied is ours: what was cleared with would stay ours for ever otherwise.

    Args:
        cleared: the object as `clearing` has left it.
    """
    metadata = cleared["metadata"]
    entries = metadata.get("managedFields") or []
    kept = [entry for entry in entries if (entry.get("manager"), entry.get("operation")) != (FIELD_MANAGER, "Update")]
    if len(kept) == len(entries):
        return None
    names = {name: metadata[name] for name in ("namespace", "name", "uid")}
    metadata = {**names, "managedFields": kept}  # of any version: controllers write the status all the while
    return {"apiVersion": cleared["apiVersion"], "kind": cleared["kind"], "metadata": metadata}


def _spec(kind: str, wanted: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    if kind == SERVICES.kind:
        # Ports are keyed by number: who changes the number leaves an entry of theirs under the name of ours.
        foreign = _foreign(OF_OTHER_SERVICE_TYPES, wanted, live)
        return {"ports": wanted["ports"], **({"type": wanted["type"], **foreign} if "type" in wanted else {})}
    if kind == DISRUPTION_BUDGETS.kind:
        return _foreign(COUNTS, wanted, live)
    if kind == DEPLOYMENTS.kind:  # values and removals at once: a default would fill the gap
        pods, live_pods = wanted["template"]["spec"], live["template"]["spec"]
        template = {"spec": {name: _whole(value, live_pods.get(name)) for name, value in pods.items()}}
        return {"strategy": _whole(wanted["strategy"], live.get("strategy")), "template": template}
    return {}


def _whole(wanted: Any, live: Any) -> Any:
    """Our value as it is, without what stands beside it in a map; named items of others stay in a list."""
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        others = {name: None for name in live if name not in wanted}
        return {**others, **{name: _whole(value, live.get(name)) for name, value in wanted.items()}}
    if isinstance(wanted, list) and isinstance(live, list):
        names = {item["name"] for item in wanted if isinstance(item, Mapping) and "name" in item}
        return [
            *wanted,
            *(item for item in live if isinstance(item, Mapping) and item.get("name") not in {None, *names}),
        ]
    return wanted


def _foreign(names: tuple[str, ...], wanted: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None for name in names if name in live and name not in wanted}
