"""What the judgements add up to: Ready, Reconciling, Stalled, Suspended and the phase. Pure.

Reconciling means that work is in flight or that something may still appear; Stalled that a person must change
something. They are never both True, which is what kstatus needs to read an object as InProgress, Current or Failed.
Source: https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from athens_operator.conditions import Condition, Verdict, held_for, is_true
from athens_operator.manifests import Manifest
from athens_operator.spec.proxy import Suspension
from athens_operator.status_checks import (
    EXPOSURE_READY,
    POLICIES_RESOLVED,
    SECRETS_RESOLVED,
    STORAGE_READY,
)
from athens_operator.status_pods import AVAILABLE
from athens_operator.status_programmed import POLICY_PROGRAMMED

READY, RECONCILING, STALLED, SUSPENDED = "Ready", "Reconciling", "Stalled", "Suspended"
PATIENCE = timedelta(minutes=10)
FLASH = timedelta(seconds=5)

# What may appear or clear by itself: (condition, reason) -> the reason of Reconciling meanwhile.
WAITING = {
    (SECRETS_RESOLVED, "SecretNotFound"): "WaitingForSecret",
    (SECRETS_RESOLVED, "SecretKeyMissing"): "WaitingForSecret",
    (POLICIES_RESOLVED, "PolicyNotFound"): "WaitingForPolicy",
    (POLICIES_RESOLVED, "NotShared"): "WaitingForPolicy",
    (STORAGE_READY, "ClaimNotFound"): "WaitingForVolume",
    (STORAGE_READY, "ClaimPending"): "WaitingForVolume",
    (STORAGE_READY, "ResizeInProgress"): "WaitingForVolume",
    (EXPOSURE_READY, "LoadBalancerPending"): "LoadBalancerPending",
    (EXPOSURE_READY, "GatewayAPIMissing"): "GatewayAPIMissing",
    (EXPOSURE_READY, "RouteNotAccepted"): "RouteNotAccepted",
}
# Pods that are not there yet: in flight until the progress deadline.
STARTING = frozenset({"NoReadyReplicas", "CrashLooping", "ImagePullFailed", "Unschedulable", "QuotaExceeded"})


class Phase(StrEnum):
    """One word for people; tools read the conditions."""

    PENDING = "Pending"
    PROGRESSING = "Progressing"
    READY = "Ready"
    DEGRADED = "Degraded"
    FAILED = "Failed"
    SUSPENDED = "Suspended"
    TERMINATING = "Terminating"


@dataclass(frozen=True, slots=True)
class Progress:
    """What the judgements are judged by.

    Args:
        checks: the conditions of `status_checks` and PolicyProgrammed, in Ready's order.
        old: the conditions of the status before.
        now: the moment of this pass.
        rollout: what the Deployment is doing, as a sentence; empty when it has settled.
        deadline: how long a rollout may take.
        deadline_exceeded: the Deployment itself gave up.
        trouble: why new pods do not start although old ones still serve.
        fight: which child somebody else keeps changing, as a sentence; empty in peace.
        late: the file has been on its way for more than a moment.
        pending: a child that could not be written for now.
    """

    checks: tuple[Condition, ...]
    old: Sequence[Mapping[str, Any]]
    now: datetime
    rollout: str = ""
    deadline: timedelta = timedelta(seconds=600)
    deadline_exceeded: bool = False
    trouble: Condition | None = None
    fight: str = ""
    late: bool = True
    pending: str = ""


def rollout_of(deployment: Manifest | None) -> str:
    """What a Deployment is still doing, in the words of `kubectl rollout status`; empty when it has settled."""
    if deployment is None:
        return "the first rollout has not started"
    spec, status = deployment["spec"], deployment.get("status", {})
    wanted, updated = spec.get("replicas", 1), status.get("updatedReplicas", 0)
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return "the rollout starts" + _pause_of(deployment)
    if updated < wanted:
        return f"{updated} of {wanted} pods are updated" + _pause_of(deployment)
    if status.get("replicas", 0) > updated:
        return f"{status['replicas'] - updated} old pods end"
    if status.get("availableReplicas", 0) < wanted:
        return f"{status.get('availableReplicas', 0)} of {wanted} updated pods are available"
    return ""


def _pause_of(deployment: Manifest) -> str:
    """What users will notice of a rollout that leaves nobody serving for a moment; empty when none does."""
    spec, status = deployment["spec"], deployment.get("status", {})
    pauses = (
        spec.get("strategy", {}).get("type") == "Recreate" and spec.get("replicas", 1) and status.get("replicas", 0)
    )
    return "; strategy Recreate: old pods end before new ones start, and nobody serves meanwhile" if pauses else ""


def gave_up(deployment: Manifest | None) -> bool:
    """Whether the Deployment exceeded its progress deadline."""
    conditions = (deployment or {}).get("status", {}).get("conditions") or ()
    return any(
        entry.get("type") == "Progressing" and entry.get("reason") == "ProgressDeadlineExceeded" for entry in conditions
    )


def overall(progress: Progress, *, running: str) -> tuple[Condition, ...]:
    """Ready, and Reconciling or Stalled while one of them is True.

    Args:
        progress: what is known.
        running: Ready's message when all is well.
    """
    stuck = _stuck(progress)
    flight = None if stuck else _in_flight(progress)
    ready = _ready(progress, running=running, unready=stuck or flight)
    verdicts = [ready]
    if flight is not None:
        verdicts.append(Condition(RECONCILING, Verdict.TRUE, flight.reason, flight.message))
    if stuck is not None:
        verdicts.append(Condition(STALLED, Verdict.TRUE, stuck.reason, stuck.message))
    return tuple(verdicts)


def suspended(suspension: Suspension) -> Condition:
    """The condition of frozen children."""
    return Condition(SUSPENDED, Verdict.TRUE, suspension.reason, suspension.message)


def phase_of(conditions: Sequence[Condition], *, started: bool) -> Phase:
    """The one word.

    Args:
        conditions: all conditions of the new status.
        started: there is a Deployment.
    """
    by_type = {condition.type: condition for condition in conditions}
    if SUSPENDED in by_type:
        return Phase.SUSPENDED
    if RECONCILING in by_type:
        return Phase.PROGRESSING if started or by_type[RECONCILING].reason != "RollingOut" else Phase.PENDING
    if by_type[READY].status is Verdict.TRUE:
        return Phase.READY
    available = AVAILABLE in by_type and by_type[AVAILABLE].status is Verdict.TRUE
    heals_itself = STALLED in by_type and _waits_for(by_type, by_type[STALLED].reason)
    return Phase.DEGRADED if available or heals_itself else Phase.FAILED


def _waits_for(by_type: Mapping[str, Condition], reason: str) -> bool:
    return any(kind in by_type and (kind, reason) in WAITING for kind, _ in WAITING)


def _stuck(progress: Progress) -> Condition | None:
    """The first condition that only a person can clear, or that took longer than things take."""
    for check in progress.checks:
        if check.status is Verdict.FALSE and _is_stuck(progress, check):
            return check
    if progress.deadline_exceeded and progress.rollout:
        message = f"the rollout is stuck: {progress.rollout}; see the pods"
        return progress.trouble or Condition(STALLED, Verdict.TRUE, "ProgressDeadlineExceeded", message)
    if progress.fight:
        return Condition(STALLED, Verdict.TRUE, "FieldFight", progress.fight)
    return None


def _is_stuck(progress: Progress, check: Condition) -> bool:
    if (check.type, check.reason) in WAITING:
        return held_for(progress.old, check.type, Verdict.FALSE, progress.now) > PATIENCE
    if check.type == AVAILABLE and check.reason in STARTING:
        late = held_for(progress.old, AVAILABLE, Verdict.FALSE, progress.now) > progress.deadline
        return late or (progress.deadline_exceeded and bool(progress.rollout))
    return not (check.type == POLICY_PROGRAMMED and check.reason == "Propagating")


def _in_flight(progress: Progress) -> Condition | None:
    """The first thing that is under way."""
    for check in progress.checks:
        if check.status is Verdict.FALSE and (check.type, check.reason) in WAITING:
            return Condition(RECONCILING, Verdict.TRUE, WAITING[check.type, check.reason], check.message)
    if progress.rollout:
        return Condition(RECONCILING, Verdict.TRUE, "RollingOut", progress.rollout)
    if progress.pending:
        return Condition(RECONCILING, Verdict.TRUE, "RollingOut", progress.pending)
    for check in progress.checks:
        if check.status is Verdict.FALSE:
            reason = "Propagating" if check.type == POLICY_PROGRAMMED else "RollingOut"
            return Condition(RECONCILING, Verdict.TRUE, reason, check.message)
    return None


def _ready(progress: Progress, *, running: str, unready: Condition | None) -> Condition:
    was_ready = is_true(progress.old, READY)
    false = [check for check in progress.checks if check.status is Verdict.FALSE]
    only_the_file = all((check.type, check.reason) == (POLICY_PROGRAMMED, "Propagating") for check in false)
    settled = not progress.rollout and not progress.pending
    if false and only_the_file and was_ready and settled and not progress.late:
        return Condition(READY, Verdict.TRUE, "Running", false[0].message)
    if only_the_file and progress.trouble is not None:
        return Condition(READY, Verdict.FALSE, progress.trouble.reason, progress.trouble.message)
    first = false[0] if false else unready
    if first is not None:
        return Condition(READY, Verdict.FALSE, first.reason, first.message)
    return Condition(READY, Verdict.TRUE, "Running", running + _unverified(progress.checks))


def _unverified(checks: Sequence[Condition]) -> str:
    unknown = [check for check in checks if check.type == POLICY_PROGRAMMED and check.status is Verdict.UNKNOWN]
    return f"; the policy is not verified: {unknown[0].message}" if unknown else ""
