"""What users see when the operator itself fails at one of their objects."""

from __future__ import annotations

import asyncio

import pytest

from athens_operator.cache import Cache
from athens_operator.cluster import FIELD_MANAGER
from athens_operator.crash_report import CrashReport
from athens_operator.events import Announcer
from athens_operator.manifests import Manifest, ref_of
from athens_operator.publish import Publisher
from athens_operator.resources import EVENTS, key_of
from support.fake_cluster import FakeCluster
from support.proxies import policy, proxy

WELL = [
    {"type": "Ready", "status": "True", "reason": "Running"},
    {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
    {"type": "Reconciling", "status": "True", "reason": "RollingOut"},
]


async def reported(body: Manifest, times: int = 1) -> tuple[FakeCluster, Manifest]:
    cluster, cache = FakeCluster(), Cache()
    stored = cluster.put({**body, "metadata": {**body["metadata"], "generation": 3}})
    cache.put(stored)
    report = CrashReport(cache, Publisher(cluster, cache, Announcer(cluster, instance=FIELD_MANAGER)))
    for _ in range(times):
        await report.tell(key_of(stored))
    return cluster, cluster.objects[ref_of(stored)]


@pytest.mark.parametrize("body", [proxy("a"), policy("a")], ids=["AthensProxy", "DownloadPolicy"])
def test_a_crash_becomes_a_condition_with_the_next_step_and_no_traceback(body: Manifest) -> None:
    _, live = asyncio.run(reported(body))

    conditions = {entry["type"]: entry for entry in live["status"]["conditions"]}
    assert (conditions["Ready"]["status"], conditions["Ready"]["reason"]) == ("False", "InternalError")
    assert (conditions["Stalled"]["status"], conditions["Stalled"]["reason"]) == ("True", "InternalError")
    assert conditions["Ready"]["observedGeneration"] == 3
    assert "report the operator's log lines" in conditions["Ready"]["message"]
    assert "Traceback" not in str(live["status"])


def test_what_was_known_before_stays_beside_it() -> None:
    body = {**proxy("a"), "status": {"phase": "Ready", "readyReplicas": 2, "conditions": WELL}}

    _, live = asyncio.run(reported(body))

    assert [entry["type"] for entry in live["status"]["conditions"]] == ["Ready", "Available", "Stalled"]
    assert live["status"]["readyReplicas"] == 2
    assert live["status"]["phase"] == "Degraded"


def test_a_crash_that_repeats_is_written_and_told_once() -> None:
    cluster, _ = asyncio.run(reported({**proxy("a"), "status": {"conditions": WELL}}, times=4))

    told = [body["reason"] for body in cluster.objects.values() if body["kind"] == EVENTS.kind]
    assert told == ["InternalError"]
    assert [verb for verb, _ in cluster.writes].count("apply") == 1
