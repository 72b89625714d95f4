"""The table of situations: what Ready, Reconciling, Stalled, Available and the phase say in each."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from athens_operator.at_rest import is_calm
from athens_operator.attachment import MissingPolicy, MissingReason
from athens_operator.manifests import Ref
from athens_operator.spec.proxy import SecretReference
from athens_operator.status import status_of
from athens_operator.status_observed import ApplyFailure, FailureReason, MissingSecret, PolicyFailure, Readback
from support.crd_schema import schema, violations
from support.observations import (
    NOW,
    OLD_DIGEST,
    ago,
    children,
    judged,
    observed,
    old_status,
    pod,
    policy_state,
    waiting,
)
from support.operator_values import proxy_value

SECRET = SecretReference("spec.auth.basic.secretRef", "users", ("username", "password"))
BASIC = {"auth": {"basic": {"secretRef": {"name": "users"}}}}
LOST = MissingPolicy("DownloadPolicy team-a/gone", MissingReason.NOT_FOUND)
INVALID = PolicyFailure("InvalidRule", "rule base#one: the range is empty; write another")
DEPLOYMENT = Ref("apps/v1", "Deployment", "team-a", "go")
READY_BEFORE = old_status(ago(hours=1), Ready="True", Available="True", PolicyProgrammed="True")
PULL = waiting("ImagePullBackOff", 'Back-off pulling image "x:1"')
GAVE_UP = [
    {"type": "Available", "status": "True"},
    {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"},
]
ROLLING = {"updatedReplicas": 1, "replicas": 2, "availableReplicas": 1}


@dataclass(frozen=True)
class Situation:
    """One row: what is observed, and what follows."""

    ready: str
    reconciling: str
    stalled: str
    available: str
    phase: str
    spec: dict[str, Any] = field(default_factory=dict)
    old: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)
    deployment: dict[str, Any] | None = field(default_factory=dict)


UP, DOWN = "True/MinimumReplicasAvailable", "False/NoReadyReplicas"
TABLE = {
    "all well": Situation("True/Running", "-", "-", UP, "Ready"),
    "before the first child": Situation(
        DOWN, "True/RollingOut", "-", DOWN, "Pending", deployment=None, seen={"pods": ()}
    ),
    "first rollout": Situation(
        DOWN,
        "True/RollingOut",
        "-",
        DOWN,
        "Progressing",
        deployment={"available": False, "settled": False},
        seen={"pods": ()},
    ),
    "a configuration rolls out": Situation(
        "False/RollingOut", "True/RollingOut", "-", UP, "Progressing", old=READY_BEFORE, deployment=ROLLING
    ),
    "a policy edit on its way, just now": Situation(
        "True/Running",
        "True/Propagating",
        "-",
        UP,
        "Progressing",
        old=READY_BEFORE,
        seen={"readback": {"go-0": Readback(OLD_DIGEST)}},
    ),
    "a policy edit on its way for six seconds": Situation(
        "False/Propagating",
        "True/Propagating",
        "-",
        UP,
        "Progressing",
        old=old_status(ago(seconds=6), Ready="True", PolicyProgrammed="False"),
        seen={"readback": {"go-0": Readback(OLD_DIGEST)}},
    ),
    "a second edit starts the clock again": Situation(
        "True/Running",
        "True/Propagating",
        "-",
        UP,
        "Progressing",
        old=old_status(ago(seconds=60), Ready="True", PolicyProgrammed="False"),
        seen={"readback": {"go-0": Readback(OLD_DIGEST)}, "policy": policy_state(applied_at=ago(seconds=1))},
    ),
    "a pod stays behind for two minutes": Situation(
        "False/PodLagging",
        "-",
        "True/PodLagging",
        UP,
        "Degraded",
        old=old_status(ago(seconds=130), PolicyProgrammed="False"),
        seen={"readback": {"go-0": Readback(OLD_DIGEST)}, "pods": (pod("go-0", since=ago(hours=1)),)},
    ),
    "a young pod is given its time": Situation(
        "False/Propagating",
        "True/Propagating",
        "-",
        UP,
        "Progressing",
        old=old_status(ago(seconds=130), PolicyProgrammed="False"),
        seen={"readback": {"go-0": Readback(OLD_DIGEST)}, "pods": (pod("go-0", since=ago(seconds=10)),)},
    ),
    "a pod refuses the file": Situation(
        "False/RejectedByProxy",
        "-",
        "True/RejectedByProxy",
        UP,
        "Degraded",
        seen={"readback": {"go-0": Readback(OLD_DIGEST, error="line 3: unknown attribute")}},
    ),
    "pods cannot be asked": Situation(
        "True/Running", "-", "-", UP, "Ready", seen={"readback": {"go-0": Readback("", error="connection refused")}}
    ),
    "read-back is switched off": Situation(
        "True/Running", "-", "-", UP, "Ready", seen={"readback": {}, "readback_enabled": False}
    ),
    "a Secret is missing before the first rollout": Situation(
        "False/SecretNotFound",
        "True/WaitingForSecret",
        "-",
        DOWN,
        "Progressing",
        spec=BASIC,
        deployment=None,
        seen={"missing_secrets": (MissingSecret(SECRET),), "pods": ()},
    ),
    "a Secret's key is missing later": Situation(
        "False/SecretKeyMissing",
        "True/WaitingForSecret",
        "-",
        UP,
        "Progressing",
        spec=BASIC,
        seen={"missing_secrets": (MissingSecret(SECRET, "password"),)},
    ),
    "the same after ten minutes": Situation(
        "False/SecretKeyMissing",
        "-",
        "True/SecretKeyMissing",
        UP,
        "Degraded",
        spec=BASIC,
        old=old_status(ago(minutes=11), SecretsResolved="False"),
        seen={"missing_secrets": (MissingSecret(SECRET, "password"),)},
    ),
    "a Secret missing for ten minutes before the first rollout": Situation(
        "False/SecretNotFound",
        "-",
        "True/SecretNotFound",
        DOWN,
        "Degraded",
        spec=BASIC,
        old=old_status(ago(minutes=11), SecretsResolved="False"),
        deployment=None,
        seen={"missing_secrets": (MissingSecret(SECRET),), "pods": ()},
    ),
    "Secrets may not be read": Situation(
        "True/Running", "-", "-", UP, "Ready", spec=BASIC, seen={"secrets_readable": False}
    ),
    "a named policy is missing, the last file stays": Situation(
        "False/PolicyNotFound",
        "True/WaitingForPolicy",
        "-",
        UP,
        "Progressing",
        seen={"policy": policy_state(missing=(LOST,), merged=None, kept_last_good=True)},
    ),
    "a named policy is missing from the start": Situation(
        "False/PolicyNotFound",
        "True/WaitingForPolicy",
        "-",
        DOWN,
        "Progressing",
        deployment=None,
        seen={"policy": policy_state(missing=(LOST,), text=None, digest="", merged=None), "pods": ()},
    ),
    "the last good file is lost": Situation(
        "False/LastGoodLost",
        "-",
        "True/LastGoodLost",
        UP,
        "Degraded",
        seen={"policy": policy_state(text=None, digest="", merged=None)},
    ),
    "policies cannot be merged while serving": Situation(
        "False/InvalidRule",
        "-",
        "True/InvalidRule",
        UP,
        "Degraded",
        seen={"policy": policy_state(failure=INVALID, merged=None, kept_last_good=True)},
    ),
    "policies cannot be merged before the first rollout": Situation(
        "False/InvalidRule",
        "-",
        "True/InvalidRule",
        DOWN,
        "Failed",
        deployment=None,
        seen={"policy": policy_state(failure=INVALID, text=None, digest="", merged=None), "pods": ()},
    ),
    "the image cannot be pulled": Situation(
        "False/ImagePullFailed",
        "True/RollingOut",
        "-",
        "False/ImagePullFailed",
        "Progressing",
        deployment={"available": False},
        seen={"pods": (pod("go-0", ready=False, **PULL),)},
    ),
    "the new image cannot be pulled while the old pods serve": Situation(
        "False/ImagePullFailed",
        "True/RollingOut",
        "-",
        UP,
        "Progressing",
        deployment=ROLLING,
        seen={"pods": (pod("go-0"), pod("go-1", ready=False, **PULL)), "readback": {}},
    ),
    "the same after the progress deadline": Situation(
        "False/ImagePullFailed",
        "-",
        "True/ImagePullFailed",
        UP,
        "Degraded",
        deployment={**ROLLING, "conditions": GAVE_UP},
        seen={"pods": (pod("go-0"), pod("go-1", ready=False, **PULL)), "readback": {"go-0": Readback(OLD_DIGEST)}},
    ),
    "pods crash for longer than the progress deadline": Situation(
        "False/CrashLooping",
        "-",
        "True/CrashLooping",
        "False/CrashLooping",
        "Failed",
        old=old_status(ago(minutes=11), Available="False"),
        deployment={"available": False},
        seen={
            "pods": (
                pod("go-0", ready=False, **waiting("CrashLoopBackOff", lastState={"terminated": {"exitCode": 1}})),
            )
        },
    ),
    "the rollout gives up and nobody knows why": Situation(
        "False/ProgressDeadlineExceeded",
        "-",
        "True/ProgressDeadlineExceeded",
        UP,
        "Degraded",
        deployment={**ROLLING, "conditions": GAVE_UP},
    ),
    "a child belongs to somebody else": Situation(
        "False/ChildConflict",
        "-",
        "True/ChildConflict",
        "False/ChildConflict",
        "Failed",
        seen={"failures": (ApplyFailure(DEPLOYMENT, FailureReason.CHILD_CONFLICT, "managed by helm"),)},
    ),
    "a child is refused as invalid while the old one serves": Situation(
        "False/InvalidChild",
        "-",
        "True/InvalidChild",
        UP,
        "Degraded",
        seen={"failures": (ApplyFailure(DEPLOYMENT, FailureReason.INVALID_CHILD, "spec.replicas: too many"),)},
    ),
    "somebody keeps changing a child": Situation(
        "False/FieldFight",
        "-",
        "True/FieldFight",
        UP,
        "Degraded",
        seen={"fights": ("Deployment team-a/go: rival keeps changing spec.replicas",)},
    ),
    "the API server is away for a moment": Situation(
        "False/RollingOut",
        "True/RollingOut",
        "-",
        UP,
        "Progressing",
        seen={"failures": (ApplyFailure(DEPLOYMENT, FailureReason.UNAVAILABLE, "time-out"),)},
    ),
    "scaled to zero": Situation(
        "True/Running", "-", "-", "True/ScaledToZero", "Ready", spec={"replicas": 0}, seen={"pods": ()}
    ),
    "suspended in the middle of a rollout": Situation(
        "False/RollingOut", "-", "-", UP, "Suspended", spec={"suspend": True}, deployment=ROLLING
    ),
    "suspended and well": Situation("True/Running", "-", "-", UP, "Suspended", spec={"suspend": True}),
}


@pytest.mark.parametrize("name", TABLE)
def test_situation(name: str) -> None:
    row = TABLE[name]
    proxy = proxy_value(row.spec, status=row.old)
    live = children(proxy, **row.deployment) if row.deployment is not None else []
    status = status_of(proxy, observed(proxy, live=live, **{"claim": BOUND, **row.seen}), NOW)

    assert (
        judged(status, "Ready"),
        judged(status, "Reconciling"),
        judged(status, "Stalled"),
        judged(status, "Available"),
        status["phase"],
    ) == (row.ready, row.reconciling, row.stalled, row.available, row.phase)
    assert list(violations(schema("AthensProxy", "status"), status)) == []


@pytest.mark.parametrize("name", TABLE)
def test_a_calm_status_stays_as_it_is_however_long(name: str) -> None:
    row = TABLE[name]
    proxy = proxy_value(row.spec, status=row.old)
    live = children(proxy, **row.deployment) if row.deployment is not None else []
    seen = observed(proxy, live=live, **{"claim": BOUND, **row.seen})
    status = status_of(proxy, seen, NOW)
    if is_calm(proxy, status):
        later = status_of(proxy_value(row.spec, status=status), seen, NOW + timedelta(days=3650))

        assert later == status
    assert is_calm(proxy, status) == (row.phase == "Ready" and row.reconciling == "-")


BOUND = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "go-data", "namespace": "team-a"},
    "spec": {"resources": {"requests": {"storage": "20Gi"}}},
    "status": {"phase": "Bound"},
}
