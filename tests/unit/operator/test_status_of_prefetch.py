"""What the pods of a prefetch Job said in the end is what the status says."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from athens_operator.desired.prefetch import prefetch_job
from athens_operator.manifests import Manifest
from athens_operator.status import status_of
from athens_operator.status_prefetch import prefetch_pods
from support.observations import NOW, children, observed
from support.operator_values import INPUTS, MEMORY, proxy_value

SPEC: dict[str, Any] = {"storage": MEMORY, "prefetch": {"modules": ["example.com/a@v1.0.0"]}}
SAID = {"total": 12, "succeeded": 11, "failed": 1, "failures": [{"module": "example.com/b"}], "seconds": 1.2}


def job_of(spec: dict[str, Any]) -> Manifest:
    job = prefetch_job(proxy_value(spec), replace(INPUTS, served=frozenset({"Job"})))
    assert job is not None
    return job


def pod_of(job: Manifest, message: str | None, created: str = "2026-01-01T00:00:00Z") -> Manifest:
    state = {"terminated": {"exitCode": 0, "message": message}} if message is not None else {"running": {}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"pf-{created}",
            "namespace": "team-a",
            "creationTimestamp": created,
            "labels": {"app.kubernetes.io/component": "prefetch"},
            "ownerReferences": [{"kind": "Job", "name": job["metadata"]["name"]}],
        },
        "status": {"containerStatuses": [{"name": "prefetch", "state": state}]},
    }


def status(*pods: Manifest, spec: dict[str, Any] = SPEC, old: dict[str, Any] | None = None) -> dict[str, Any]:
    proxy = proxy_value(spec, status=old or {})
    live = [*children(proxy), job_of(SPEC)]
    return status_of(proxy, observed(proxy, live=live, prefetch_pods=prefetch_pods(pods)), NOW)


def test_the_last_line_of_the_pod_that_ended_counts() -> None:
    pod = pod_of(job_of(SPEC), f"1 of 12\n{json.dumps(SAID)}\n")

    assert status(pod)["prefetch"] == {"total": 12, "succeeded": 11, "failed": 1}


def test_nothing_is_said_before_a_pod_ends_or_when_it_says_something_else() -> None:
    job = job_of(SPEC)

    for message in (None, "", "killed", '{"total": "many"}', "[1]", "[" * 4000):
        assert "prefetch" not in status(pod_of(job, message))


def test_the_newest_pod_that_says_something_counts() -> None:
    job = job_of(SPEC)
    older = pod_of(job, json.dumps(SAID))
    newer = pod_of(job, json.dumps({**SAID, "succeeded": 12, "failed": 0}), "2026-01-02T00:00:00Z")
    running = pod_of(job, None, "2026-01-03T00:00:00Z")

    assert status(older, newer, running)["prefetch"] == {"total": 12, "succeeded": 12, "failed": 0}


def test_what_was_said_stays_when_the_pod_is_gone_and_goes_with_the_field() -> None:
    old = {"prefetch": {"total": 1, "succeeded": 1, "failed": 0}}

    assert status(old=old)["prefetch"] == old["prefetch"]
    assert "prefetch" not in status(old=old, spec={"storage": MEMORY})


def test_the_pods_of_another_list_say_nothing_about_this_one() -> None:
    other = job_of({**SPEC, "prefetch": {"modules": ["example.com/z@v1.0.0"]}})

    assert "prefetch" not in status(pod_of(other, json.dumps(SAID)))
