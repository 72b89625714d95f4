"""Whose an object under a child's name is: ours, kept from before, handed over to us, or somebody else's. Pure.

Somebody else's object is never written. Its owner consents to adoption with an annotation on that object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from athens_operator.cluster import Conflict
from athens_operator.desired.volume import RETAINED_FROM
from athens_operator.errors import ClusterError
from athens_operator.manifests import (
    MANAGED_BY,
    MANAGED_BY_LABEL,
    PROXY_LABEL,
    Manifest,
    Ref,
    is_owned_by,
    may_write,
)
from athens_operator.resources import CHILDREN, CLAIMS, PROXIES, SERVICE_ACCOUNTS, SERVICES
from athens_operator.spec import AthensProxy
from athens_operator.spec.proxy import ANNOTATION_PREFIX

ADOPT_BY_ANNOTATION = ANNOTATION_PREFIX + "adopt-by"
ADVICE_ON_CONFLICT = {
    SERVICE_ACCOUNTS.kind: "set spec.serviceAccount.create to false to use it, rename the AthensProxy",
    CLAIMS.kind: "name it in spec.storage.disk.existingClaim to use it, rename the AthensProxy",
    SERVICES.kind: "set spec.service.name, rename the AthensProxy, remove that object",
}


class Foreign(ClusterError):
    """An object under our name belongs to somebody else."""

    def __init__(self, message: str) -> None:
        super().__init__(message, transient=False)


def takes_over(proxy: AthensProxy, ref: Ref, live: Manifest) -> bool:
    """Whether writing the object makes it ours, which it was not before.

    Raises:
        Conflict: it belongs to an earlier proxy of this name and is about to vanish.
        Foreign: it is somebody else's and must not be written.
    """
    if is_owned_by(live, proxy.uid):
        return False
    if may_write(live, uid=proxy.uid, name=proxy.name):  # a kept claim, which carries no owner
        return _annotation(live, RETAINED_FROM) not in ("", proxy.uid)
    owners = live["metadata"].get("ownerReferences") or ()
    if any(owner.get("kind") == PROXIES.kind and owner.get("name") == proxy.name for owner in owners):
        raise Conflict(f"{ref} still belongs to an earlier {proxy.name} and is being deleted; waiting for that")
    controllers = [owner for owner in owners if owner.get("controller")]
    if controllers:
        raise _controlled(ref, controllers[0])
    if _annotation(live, ADOPT_BY_ANNOTATION) == f"{proxy.namespace}/{proxy.name}":
        return True
    raise _foreign(proxy, ref, live)


def is_kept_claim(live: Manifest, uid: str) -> bool:
    """Whether this is the claim that a proxy, known by its uid, leaves behind when it is deleted."""
    return (
        live["kind"] == CLAIMS.kind
        and not live["metadata"].get("ownerReferences")
        and not live["metadata"].get("deletionTimestamp")
        and bool(uid)
        and _annotation(live, RETAINED_FROM) == uid
    )


def _annotation(live: Manifest, name: str) -> str:
    return str((live["metadata"].get("annotations") or {}).get(name, ""))


def _controlled(ref: Ref, owner: Mapping[str, Any]) -> Foreign:
    if owner.get("kind") == PROXIES.kind:
        return Foreign(f"{ref} belongs to AthensProxy {owner['name']}; choose another name in one of the two specs")
    whose = f"{owner.get('kind')} {owner.get('name')}"
    return Foreign(f"{ref} exists and belongs to {whose}; rename the AthensProxy or remove that object")


def _is_left_behind(proxy: AthensProxy, live: Manifest) -> bool:
    """Whether the object looks like a child whose proxy was deleted without its children."""
    metadata = live["metadata"]
    labels = metadata.get("labels") or {}
    ours = labels.get(PROXY_LABEL) == proxy.name and labels.get(MANAGED_BY_LABEL) == MANAGED_BY
    return ours and not metadata.get("ownerReferences")


def _left_behind(proxy: AthensProxy, ref: Ref) -> Foreign:
    """Labels are no consent: anybody may write them. One command gives it for all that was left behind."""
    kinds = ",".join(resource.plural for resource in CHILDREN if resource != CLAIMS)
    chosen = f"-n {proxy.namespace} {kinds} -l {PROXY_LABEL}={proxy.name}"
    return Foreign(
        f"{ref} was left behind by an earlier AthensProxy {proxy.name} that was deleted without its children; take "
        f"over what it left with: kubectl annotate {chosen} {ADOPT_BY_ANNOTATION}={proxy.namespace}/{proxy.name}"
    )


def _foreign(proxy: AthensProxy, ref: Ref, live: Manifest) -> Foreign:
    if _is_left_behind(proxy, live):
        return _left_behind(proxy, ref)
    entries = live["metadata"].get("managedFields") or ()
    names = ", ".join(sorted({str(entry["manager"]) for entry in entries if entry.get("manager")}))
    advice = ADVICE_ON_CONFLICT.get(ref.kind, "rename the AthensProxy, remove that object")
    consent = f"hand it over with the annotation {ADOPT_BY_ANNOTATION}: {proxy.namespace}/{proxy.name}"
    return Foreign(f"{ref} exists and is not ours (managed by {names or 'an unknown manager'}); {advice}, or {consent}")
