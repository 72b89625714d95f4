"""Why pods do not run, as one sentence with a next step."""

from __future__ import annotations

from typing import Any

import pytest

from athens_operator.status_pods import pod_trouble, replica_failure
from support.observations import ago, pod, waiting


def failed(message: str, *, code: int = 1, **container: Any) -> dict[str, Any]:
    ended = {"exitCode": code, "reason": "Error", "message": message}
    return waiting("CrashLoopBackOff", "back-off", lastState={"terminated": ended}, **container)


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        (
            waiting("ImagePullBackOff", "not found"),
            "ImagePullFailed",
            "pod go-1: image x:1 cannot be pulled: not found; correct spec.image or spec.version, or add "
            "spec.imagePullSecrets",
        ),
        (waiting("ErrImageNeverPull"), "ImagePullFailed", "pod go-1: image x:1 cannot be pulled: ErrImageNeverPull;"),
        (waiting("InvalidImageName", "bad"), "ImagePullFailed", "cannot be pulled: bad"),
        (
            failed("starting\nATHENS_LOG_LEVEL: bogus is not allowed\n\n", restartCount=4),
            "CrashLooping",
            "pod go-1 (4 restarts): ATHENS_LOG_LEVEL: bogus is not allowed",
        ),
        (failed("", code=137, restartCount=1), "CrashLooping", "pod go-1 (1 restart): exit code 137, Error"),
        (failed("a\x1b[31m" + "b" * 500), "CrashLooping", "pod go-1 (0 restarts): a [31mbbb"),
        (
            waiting("CreateContainerConfigError", 'secret "users" not found'),
            "NoReadyReplicas",
            'pod go-1 cannot start: secret "users" not found',
        ),
        (
            {"conditions": [{"type": "PodScheduled", "reason": "Unschedulable", "message": "0/1 nodes: no memory"}]},
            "Unschedulable",
            "no node takes pod go-1: 0/1 nodes: no memory; change spec.scheduling or spec.resources, or add a node",
        ),
    ],
)
def test_trouble_is_named_with_the_next_step(status: dict[str, Any], reason: str, said: str) -> None:
    trouble = pod_trouble([pod(ready=False, **status)])

    assert trouble is not None
    assert (trouble.type, trouble.reason) == ("Available", reason)
    assert said in trouble.message
    assert len(trouble.message) < 600
    assert trouble.message.isprintable()


@pytest.mark.parametrize(
    "status",
    [
        {},
        waiting("ContainerCreating"),
        waiting("PodInitializing"),
        {"containerStatuses": [{"name": "athens", "ready": False, "state": {"running": {}}}]},
        failed("drained", code=0),
    ],
)
def test_a_pod_that_merely_starts_is_no_trouble(status: dict[str, Any]) -> None:
    assert pod_trouble([pod(ready=False, **status)]) is None


def test_pods_that_serve_or_leave_are_not_blamed() -> None:
    leaving = pod("go-2", ready=False, **waiting("ImagePullBackOff"))
    leaving["metadata"]["deletionTimestamp"] = "2026-11-21T12:00:00Z"

    assert pod_trouble([pod("go-1", **waiting("ImagePullBackOff")), leaving]) is None


def test_the_youngest_pod_speaks_first() -> None:
    old = pod("go-1", ready=False, since=ago(hours=1), **failed("old reason"))
    new = pod("go-2", ready=False, **failed("new reason"))

    trouble = pod_trouble([old, new])

    assert trouble is not None
    assert "new reason" in trouble.message


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('pods "go-1" is forbidden: exceeded quota: small, requested: pods=1', "QuotaExceeded"),
        ('pods "go-1" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot', "PodSecurityDenied"),
        ('pods "go-1" is forbidden: no service account', "NoReadyReplicas"),
    ],
)
def test_why_pods_are_not_even_created(message: str, reason: str) -> None:
    entry = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    deployment = {"kind": "Deployment", "metadata": {"name": "go"}, "spec": {}, "status": {"conditions": [entry]}}
    trouble = replica_failure(deployment)

    assert trouble is not None
    assert trouble.reason == reason
    assert message in trouble.message
    assert replica_failure({**deployment, "status": {"conditions": [{**entry, "status": "False"}]}}) is None


def test_a_failure_of_an_older_template_is_not_told_once_the_new_pods_exist() -> None:
    entry = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: small"}
    deployment = {"kind": "Deployment", "metadata": {"name": "go"}, "spec": {"replicas": 2}}

    half, all_of_them = ({"conditions": [entry], "updatedReplicas": count} for count in (1, 2))

    assert replica_failure({**deployment, "status": half}) is not None
    assert replica_failure({**deployment, "status": all_of_them}) is None
