"""The whole `.status` of an AthensProxy, judged from what was observed, never from what was hoped for. Pure.

Read top to bottom: the judgements (`status_checks`, `status_programmed`), what they add up to (`status_progress`), and
the facts beside them. Equal observations give an equal status: there is no time of the pass in it, so a status is
written only when something changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from athens_operator.conditions import Condition, Verdict, merged
from athens_operator.desired.configuration import CONFIG_HASH, no_sum_patterns
from athens_operator.desired.names import claim_name, ingress_urls, selector, service_name, service_url, url
from athens_operator.desired.workload import CONTAINER
from athens_operator.errors import SpecError
from athens_operator.manifests import Manifest, Ref
from athens_operator.spec.proxy import (
    RECONCILE_ANNOTATION,
    REQUESTED_AT_ANNOTATION,
    AthensProxy,
    Identity,
    Suspension,
)
from athens_operator.status_checks import (
    CONFIGURATION_VALID,
    available,
    configuration_valid,
    deployment_of,
    exposure_ready,
    highly_available,
    policies_resolved,
    secrets_resolved,
    storage_ready,
)
from athens_operator.status_credentials import credentials_block, credentials_ready
from athens_operator.status_observed import FailureReason, Observed
from athens_operator.status_pods import AVAILABLE, pod_trouble, replica_failure
from athens_operator.status_prefetch import prefetch_block
from athens_operator.status_programmed import enforcement_of, is_late, policy_block, policy_programmed, revision_of
from athens_operator.status_progress import (
    FLASH,
    READY,
    RECONCILING,
    STALLED,
    Phase,
    Progress,
    gave_up,
    overall,
    phase_of,
    rollout_of,
    suspended,
)

MAX_SHARED = 32
MAX_ECHO = 256
"""Characters of an annotation's value; with more of them the API server would refuse the whole status."""
CRASH_VERDICTS = ((READY, Verdict.FALSE), (STALLED, Verdict.TRUE))
CRASH_REPLACES = (READY, RECONCILING, STALLED)


def status_of(proxy: AthensProxy, observed: Observed, now: datetime) -> dict[str, Any]:
    """The status of one pass.

    Args:
        proxy: the object as parsed; its old status is in `proxy.identity.status`.
        observed: what the pass learnt.
        now: the moment of the pass, with a time zone.
    """
    old = proxy.identity.status
    old_conditions = old.get("conditions") or ()
    deployment = deployment_of(proxy, observed)
    enforcement = enforcement_of(proxy, observed)
    checks = _checks(proxy, observed, now)
    running = f"{len(enforcement.serving)}/{enforcement.wanted} pods are ready"
    if observed.policy.text is not None and observed.readback_enabled:
        running = f"{enforcement.summary} pods enforce policy {revision_of(observed.policy.digest)}"
    verdicts = overall(_progress(proxy, observed, checks, now), running=running)
    advice = _advice(proxy, observed, now)
    conditions = (verdicts[0], *checks, *verdicts[1:], *_frozen(observed), *advice)
    if proxy.suspension is not None:
        conditions = (verdicts[0], *checks, suspended(proxy.suspension), *advice)
    return {
        "observedGeneration": proxy.generation,
        "phase": phase_of(conditions, started=deployment is not None).value,
        **_scale(proxy, deployment),
        **_running(deployment),
        "endpoints": _endpoints(proxy, observed),
        "client": _client(proxy, observed),
        **_present("policy", policy_block(proxy, observed, enforcement, old.get("policy") or {})),
        "storage": _storage(proxy, observed),
        **_present("credentials", credentials_block(proxy, observed)),
        **_present("prefetch", prefetch_block(proxy, observed)),
        **_present("missingCapabilities", list(observed.missing_capabilities)),
        **_present("lastHandledReconcileAt", proxy.identity.annotations.get(REQUESTED_AT_ANNOTATION, "")[:MAX_ECHO]),
        "conditions": merged(old_conditions, conditions, generation=proxy.generation, now=now),
    }


def status_of_invalid(
    identity: Identity, error: SpecError, children: Mapping[Ref, Manifest], now: datetime
) -> dict[str, Any]:
    """The status of an object whose spec cannot be read, or must not be carried out.

    What runs stays as it is, and the fields at fault are named.

    Args:
        identity: the object; facts of its old status stay.
        error: what is wrong with the spec.
        children: live children, which tell whether the proxy still serves.
        now: the moment of the pass, with a time zone.
    """
    deployment = children.get(Ref("apps/v1", "Deployment", identity.namespace, identity.name))
    said = f"{error}; correct the spec, nothing is changed before that"
    conditions = (
        Condition(READY, Verdict.FALSE, error.reason, said),
        Condition(CONFIGURATION_VALID, Verdict.FALSE, error.reason, said),
        _still_available(deployment),
        Condition(STALLED, Verdict.TRUE, error.reason, said),
    )
    old = dict(identity.status)
    return {
        **old,
        "observedGeneration": identity.generation,
        "phase": phase_of(conditions, started=deployment is not None).value,
        "conditions": merged(old.get("conditions") or (), conditions, generation=identity.generation, now=now),
    }


def status_of_leaving(identity: Identity) -> dict[str, Any]:
    """The status of a proxy that is being deleted and not gone yet: what was last known, and that word."""
    return {**identity.status, "phase": Phase.TERMINATING.value}


def status_of_crash(identity: Identity, now: datetime) -> dict[str, Any]:
    """The status of an object of any of our kinds at which the operator itself failed.

    What was known of it stays, so that the next good pass finds its old judgements; the error itself is for the log.

    Args:
        identity: the object; its old status is built upon.
        now: the moment of the pass, with a time zone.
    """
    said = (
        "the operator failed at this object for a reason of its own, leaves what runs as it is and tries again; if "
        "this stays, report the operator's log lines about this object, and restart the operator"
    )
    old = [entry for entry in identity.status.get("conditions") or () if entry.get("type") not in CRASH_REPLACES]
    verdicts = [Condition(kind, verdict, "InternalError", said) for kind, verdict in CRASH_VERDICTS]
    fresh = merged(identity.status.get("conditions") or (), verdicts, generation=identity.generation, now=now)
    phase = {"phase": Phase.DEGRADED.value} if "phase" in identity.status else {}  # policies have none
    return {**identity.status, **phase, "conditions": [fresh[0], *old, *fresh[1:]]}


def _frozen(observed: Observed) -> tuple[Condition, ...]:
    """Suspended, if somebody froze single children."""
    frozen = [
        f"{ref.kind} {ref.name}"
        for ref, live in sorted(observed.children.items())
        if (live["metadata"].get("annotations") or {}).get(RECONCILE_ANNOTATION) == "disabled"
    ]
    if not frozen:
        return ()
    message = f"left as they are: {', '.join(frozen)}; remove the annotation {RECONCILE_ANNOTATION} there to resume"
    return (suspended(Suspension("ChildAnnotation", message)),)


def _advice(proxy: AthensProxy, observed: Observed, now: datetime) -> tuple[Condition, ...]:
    """The conditions that Ready does not depend on."""
    credentials = credentials_ready(proxy, observed, now)
    return (*((credentials,) if credentials else ()), highly_available(proxy, observed))


def _checks(proxy: AthensProxy, observed: Observed, now: datetime) -> tuple[Condition, ...]:
    """The conditions that Ready depends on, in the order in which they explain it."""
    old_conditions = proxy.identity.status.get("conditions") or ()
    checks = (
        configuration_valid(observed),
        secrets_resolved(proxy, observed),
        policies_resolved(proxy, observed),
        storage_ready(proxy, observed),
        available(proxy, observed),
        policy_programmed(observed, enforcement_of(proxy, observed), old_conditions, now),
        exposure_ready(proxy, observed),
    )
    return tuple(check for check in checks if check is not None)


def _progress(proxy: AthensProxy, observed: Observed, checks: tuple[Condition, ...], now: datetime) -> Progress:
    old = proxy.identity.status.get("conditions") or ()
    deployment = deployment_of(proxy, observed)
    rollout = rollout_of(deployment)
    unwritten = [found for found in observed.failures if found.reason is FailureReason.UNAVAILABLE]
    return Progress(
        checks=checks,
        old=old,
        now=now,
        rollout=rollout,
        deadline=timedelta(seconds=proxy.spec.rollout.progress_deadline_seconds),
        deadline_exceeded=gave_up(deployment),
        trouble=(pod_trouble(observed.pods) or (replica_failure(deployment) if deployment else None))
        if rollout
        else None,
        fight="; ".join(observed.fights),
        late=is_late(observed, old, now, FLASH),
        pending=f"{unwritten[0].ref.kind} {unwritten[0].ref.name}: {unwritten[0].message}" if unwritten else "",
    )


def _still_available(deployment: Manifest | None) -> Condition:
    conditions: Sequence[Mapping[str, Any]] = (deployment or {}).get("status", {}).get("conditions") or ()
    if any(entry.get("type") == "Available" and entry.get("status") == "True" for entry in conditions):
        return Condition(AVAILABLE, Verdict.TRUE, "MinimumReplicasAvailable", "the pods of the last valid spec serve")
    return Condition(AVAILABLE, Verdict.FALSE, "NoReadyReplicas", "no pod serves")


def _scale(proxy: AthensProxy, deployment: Manifest | None) -> dict[str, Any]:
    status = (deployment or {}).get("status", {})
    return {
        "replicas": status.get("replicas", 0),
        "readyReplicas": status.get("readyReplicas", 0),
        "updatedReplicas": status.get("updatedReplicas", 0),
        "selector": ",".join(f"{key}={value}" for key, value in sorted(selector(proxy).items())),
    }


def _running(deployment: Manifest | None) -> dict[str, Any]:
    """Version, image and configuration of the pods that the Deployment makes now."""
    if deployment is None:
        return {}
    template = deployment["spec"]["template"]
    images = [container["image"] for container in template["spec"]["containers"] if container["name"] == CONTAINER]
    metadata = template.get("metadata") or {}
    return {
        **_present("version", (metadata.get("labels") or {}).get("app.kubernetes.io/version")),
        **_present("image", images[0] if images else None),
        **_present("configHash", (metadata.get("annotations") or {}).get(CONFIG_HASH)),
    }


def _endpoints(proxy: AthensProxy, observed: Observed) -> dict[str, Any]:
    service = observed.children.get(Ref("v1", "Service", proxy.namespace, service_name(proxy)), {})
    addresses = service.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
    external = [url(proxy, str(address.get("hostname") or address.get("ip"))) for address in addresses]
    external += ingress_urls(proxy)
    return {"internal": service_url(proxy, observed.inputs), **_present("external", external)}


def _client(proxy: AthensProxy, observed: Observed) -> dict[str, str]:
    """What a client exports; no GOPRIVATE, which would make it walk around the proxy."""
    return {
        "goproxy": service_url(proxy, observed.inputs),
        **_present("gonosumdb", ",".join(no_sum_patterns(proxy))),
    }


def _storage(proxy: AthensProxy, observed: Observed) -> dict[str, Any]:
    claim = observed.claim or {}
    requested = claim.get("spec", {}).get("resources", {}).get("requests", {}).get("storage")
    return {
        "type": proxy.spec.storage.type.value,
        **_present("claimName", claim_name(proxy)),
        **_present("capacity", claim.get("status", {}).get("capacity", {}).get("storage")),
        **_present("requestedCapacity", requested),
        **_present("sharedWith", list(observed.sharing.others[:MAX_SHARED])),
    }


def _present(key: str, value: Any) -> dict[str, Any]:
    """The entry, or nothing for an empty value: a status shows what there is."""
    return {key: value} if value else {}
