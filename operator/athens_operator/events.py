"""Kubernetes Events: on transitions only, each at most once in ten minutes, never more than 1 KiB.

`announcements` says what a change of status is worth telling (pure); `Announcer` tells it. Events are a courtesy: one
that cannot be written is logged and forgotten.

Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from athens_operator.cluster import Cluster
from athens_operator.errors import ClusterError
from athens_operator.manifests import Manifest, Ref
from athens_operator.resources import EVENTS
from athens_operator.spec import AthensProxy
from athens_operator.status_credentials import LACKS_LOGIN
from athens_operator.status_programmed import POLICY_PROGRAMMED, REJECTED

logger = logging.getLogger(__name__)

REPEAT_AFTER_S = 600.0
NOTE_BYTES = 1000
CONTROLLER = "athensproxy.dev/operator"
QUIET_REASONS = frozenset(
    {
        "NoReadyReplicas",
        "Propagating",
        "NotReady",
        "ClaimPending",
        "ResizeInProgress",
        "Unknown",
        "ProxyNotReady",
        "Held",
    }
)
"""Reasons of a False condition that belong to a normal start or roll-out."""
EVENT_OF_REASON = {
    REJECTED: "PolicyRejectedByProxy",
    "SecretNotFound": "SecretMissing",
    "SecretKeyMissing": "SecretMissing",
}
EVENT_OF_STALLED = {
    "ProgressDeadlineExceeded": "RolloutStuck",
    "CrashLooping": "RolloutStuck",
    "ImagePullFailed": "RolloutStuck",
    "NoReadyReplicas": "RolloutStuck",
    "PodSecurityDenied": "RolloutStuck",
    "QuotaExceeded": "RolloutStuck",
    "Unschedulable": "RolloutStuck",
    "FieldFight": "FieldFight",
    "InternalError": "InternalError",
}
"""A rollout that was given up is told even while older pods still serve; then no other condition says so."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """One Event to be.

    Args:
        reason: CamelCase, for machines.
        note: one sentence, for people.
        warning: whether somebody should look.
    """

    reason: str
    note: str
    warning: bool = False


def of_new_spec(proxy: AthensProxy) -> list[Announcement]:
    """What is worth telling about a generation that is judged for the first time."""
    status, spec = proxy.identity.status, proxy.spec
    if status.get("observedGeneration") == proxy.generation:
        return []
    found = []
    encrypted = spec.tls or spec.http_route or (spec.ingress and spec.ingress.tls)
    if (spec.auth.basic or spec.auth.clients) and not encrypted:
        note = "spec.auth is set without TLS: go sends a login over https only, so put TLS in front of the proxy"
        found.append(Announcement("AuthWithoutTLS", note, warning=True))
    if proxy.lacks_login and spec.prefetch:
        found.append(Announcement("PrefetchHasNoLogin", f"prefetching is refused: {LACKS_LOGIN}", warning=True))
    old, new = (status.get("storage") or {}).get("type"), spec.storage.type.value
    if old not in (None, new):
        note = (
            f"spec.storage.type changed from {old} to {new}: nothing is deleted and nothing is moved; "
            "athens-proxy copy moves what was stored"
        )
        found.append(Announcement("StorageBackendChanged", note, warning=True))
    return found


def of_rejection(proxy: AthensProxy, after: Mapping[str, Any]) -> Announcement | None:
    """What the policies of a proxy should hear when its pods begin to refuse the file."""
    was, now = (_conditions(status).get(POLICY_PROGRAMMED, {}) for status in (proxy.identity.status, after))
    if now.get("reason") != REJECTED or was.get("reason") == REJECTED:
        return None
    note = f"AthensProxy {proxy.namespace}/{proxy.name}: {now.get('message', '')}"
    return Announcement(EVENT_OF_REASON[REJECTED], note, warning=True)


def of_adoption(adopted: Iterable[Ref]) -> list[Announcement]:
    """What is worth telling about objects that were not ours before."""
    return [Announcement("Adopted", f"{ref} is managed by this AthensProxy from now on") for ref in adopted]


def of_kept_claim(claim: Manifest, proxy_name: str) -> Announcement:
    """What the claim of a deleted proxy says of itself."""
    metadata = claim["metadata"]
    note = (
        f"claim {metadata['name']} is kept although AthensProxy {proxy_name} was deleted; a new AthensProxy of that "
        "name takes it over, delete the claim to give its volume back"
    )
    return Announcement("Retained", note)


def announcements(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Announcement]:
    """What the change from one status to the next is worth telling. Both as in `.status`; empty before the first."""
    old, new = _conditions(before), _conditions(after)
    found = [] if before else [Announcement("Created", "the operator has taken it up")]
    for kind, condition in new.items():
        was = old.get(kind, {})
        if (condition["status"], condition.get("reason")) != (was.get("status"), was.get("reason")):
            found += _of_condition(kind, condition, first=not was)
    found += _ended(old, new)
    found += _of_storage(before.get("storage") or {}, after.get("storage") or {})
    found += _of_conflicts(before.get("policy") or {}, after.get("policy") or {})
    return found + _of_policy(before, after, new)


def _of_condition(kind: str, condition: Mapping[str, Any], *, first: bool) -> list[Announcement]:
    status, reason, message = condition["status"], condition.get("reason", ""), condition.get("message", "")
    match kind, status:
        case ("Ready", _):
            return []  # its reason is that of another condition
        case ("Suspended", "True"):
            return [Announcement("Suspended", message or reason)]
        case ("Reconciling", "True") if reason == "RollingOut":
            return [Announcement("RolloutStarted", message or "pods are being replaced")]
        case ("Stalled", "True") if reason in EVENT_OF_STALLED:
            return [Announcement(EVENT_OF_STALLED[reason], message, warning=True)]
        case ("Conflicted", "True"):
            return [Announcement("PolicyConflict", message, warning=True)]
        case ("Reconciling" | "Stalled" | "HighlyAvailable" | "Conflicted" | "Suspended", _):
            return []
        case (_, "False") if reason not in QUIET_REASONS:
            return [Announcement(EVENT_OF_REASON.get(reason, reason), message, warning=True)]
        case _:
            return []


def _ended(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Announcement]:
    found = []
    rolling = old.get("Reconciling", {})
    ended = not {"Reconciling", "Stalled", "Suspended"} & new.keys()
    if rolling.get("reason") == "RollingOut" and ended:
        found.append(Announcement("RolloutComplete", new.get("Ready", {}).get("message") or "all pods are current"))
    if "Suspended" in old and "Suspended" not in new:
        found.append(Announcement("Resumed", "children are written again"))
    return found


def _of_storage(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Announcement]:
    was, now = before.get("type"), after.get("type")
    if was and now and was != now:
        note = f"modules are kept in {now} storage from now on; what {was} storage holds is neither moved nor deleted"
        return [Announcement("StorageBackendChanged", note, warning=True)]
    had, has = before.get("capacity"), after.get("capacity")
    same = before.get("claimName") == after.get("claimName")
    if same and had and has and had != has:
        return [Announcement("Resized", f"the volume of claim {after.get('claimName')} has {has} now, {had} before")]
    return []


def _of_conflicts(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Announcement]:
    """Rules of a proxy's file that lose; told again when others do."""
    conflicts = after.get("conflicts") or ()
    if not conflicts or conflicts == before.get("conflicts"):
        return []
    first = conflicts[0]
    one = f"{first.get('rule')} loses to {first.get('by')} on {first.get('pattern')} ({first.get('class')})"
    more = f", and {len(conflicts) - 1} more in status.policy.conflicts" if len(conflicts) > 1 else ""
    return [Announcement("PolicyConflict", one + more, warning=True)]


def _of_policy(
    before: Mapping[str, Any], after: Mapping[str, Any], conditions: Mapping[str, Any]
) -> list[Announcement]:
    programmed = conditions.get("PolicyProgrammed") or conditions.get("Programmed") or {}
    if programmed.get("status") != "True" or programmed.get("reason") != "Programmed":
        return []
    was = _conditions(before)
    was_programmed = (was.get("PolicyProgrammed") or was.get("Programmed") or {}).get("status") == "True"
    if was_programmed and _digest(before) == _digest(after):
        return []
    return [
        Announcement("PolicyProgrammed", f"policy {_digest(after)[7:15]} is enforced: {programmed.get('message', '')}")
    ]


def _conditions(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {condition["type"]: condition for condition in status.get("conditions") or ()}


def _digest(status: Mapping[str, Any]) -> str:
    return str((status.get("policy") or status).get("digest") or "")


class Announcer:
    """Writes Events about objects.

    Args:
        cluster: where to.
        instance: which replica of the operator speaks.
    """

    def __init__(self, cluster: Cluster, *, instance: str) -> None:
        self._cluster = cluster
        self._instance = instance
        self._told: OrderedDict[tuple[str, str, str], float] = OrderedDict()  # the oldest first

    async def tell(self, regarding: Manifest, announcement: Announcement) -> None:
        """Write one Event unless the same was written within ten minutes; a failure is only logged."""
        now = asyncio.get_running_loop().time()
        key = (regarding["metadata"].get("uid", ""), announcement.reason, announcement.note)
        while self._told and now - next(iter(self._told.values())) >= REPEAT_AFTER_S:
            self._told.popitem(last=False)
        if key in self._told:
            return
        self._told[key] = now
        try:
            await self._cluster.create(event(regarding, announcement, instance=self._instance, now=datetime.now(UTC)))
        except ClusterError as error:
            logger.warning("cannot write the Event %s: %s", announcement.reason, error)


def event(regarding: Manifest, announcement: Announcement, *, instance: str, now: datetime) -> Manifest:
    """The Event as a manifest; its name is unique by time, and short enough for every name of an object."""
    metadata = regarding["metadata"]
    namespace = metadata.get("namespace") or "default"
    stamp = f"{int(now.timestamp() * 1e6):x}.{announcement.reason.lower()}"
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"namespace": namespace, "name": f"{metadata['name'][:180]}.{stamp}"},
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:128],
        "action": "Reconcile",
        "reason": announcement.reason,
        "type": "Warning" if announcement.warning else "Normal",
        "note": announcement.note.encode()[:NOTE_BYTES].decode(errors="ignore") or announcement.reason,
        "regarding": {
            "apiVersion": regarding["apiVersion"],
            "kind": regarding["kind"],
            "namespace": metadata.get("namespace", ""),
            "name": metadata["name"],
            "uid": metadata.get("uid", ""),
        },
    }
