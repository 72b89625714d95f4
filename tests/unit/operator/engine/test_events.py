"""Which changes of status are told as Events, and how often."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from athens_operator.cluster import Forbidden
from athens_operator.events import Announcement, Announcer, announcements, event, of_new_spec, of_rejection
from athens_operator.manifests import Manifest
from support.fake_cluster import FakeCluster
from support.operator_values import proxy_value
from support.virtual_time import in_virtual_time

PROXY: Manifest = {
    "apiVersion": "athensproxy.dev/v1beta1",
    "kind": "AthensProxy",
    "metadata": {"namespace": "team-a", "name": "go", "uid": "u1"},
}


def status(*conditions: tuple[str, str, str], digest: str = "") -> dict[str, Any]:
    return {
        "policy": {"digest": digest},
        "conditions": [
            {"type": kind, "status": value, "reason": reason, "message": "m"} for kind, value, reason in conditions
        ],
    }


def reasons(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(found.reason, found.warning) for found in announcements(before, after)]


def test_the_first_status_tells_of_the_creation() -> None:
    assert reasons({}, status(("Ready", "False", "NoReadyReplicas"))) == [("Created", False)]


def test_an_unchanged_situation_tells_nothing() -> None:
    same = status(("SecretsResolved", "False", "SecretNotFound"))

    assert reasons(same, same) == []


def test_trouble_is_told_once_as_a_warning_under_its_documented_name() -> None:
    well = status(("SecretsResolved", "True", "Resolved"), ("Available", "True", "Running"))
    ill = status(("SecretsResolved", "False", "SecretNotFound"), ("Available", "False", "ImagePullFailed"))

    assert reasons(well, ill) == [("SecretMissing", True), ("ImagePullFailed", True)]
    assert reasons(ill, well) == []


def test_the_policies_of_a_proxy_hear_when_its_pods_begin_to_refuse_the_file() -> None:
    refused = status(("PolicyProgrammed", "False", "RejectedByProxy"))
    before = proxy_value(status=status(("PolicyProgrammed", "False", "Propagating")))

    told = of_rejection(before, refused)

    assert told == Announcement("PolicyRejectedByProxy", "AthensProxy team-a/go: m", warning=True)
    assert of_rejection(proxy_value(status=refused), refused) is None
    assert of_rejection(before, dict(before.identity.status)) is None


def test_a_pod_that_stays_behind_is_told_once() -> None:
    on_its_way = status(("PolicyProgrammed", "False", "Propagating"))
    lagging = status(("PolicyProgrammed", "False", "PodLagging"))

    assert reasons(on_its_way, lagging) == [("PodLagging", True)]
    assert reasons(lagging, lagging) == []


def test_rules_that_lose_are_told_on_the_proxy_when_they_begin_to_or_others_do() -> None:
    one = {"class": "Conflict", "rule": "team-a/base#x", "pattern": "example.com/x", "by": "guard#x"}
    before, after = status(), status()
    after["policy"]["conflicts"] = [one, {**one, "rule": "team-a/base#y"}]

    told = announcements(before, after)

    assert [(found.reason, found.warning) for found in told] == [("PolicyConflict", True)]
    assert told[0].note == (
        "team-a/base#x loses to guard#x on example.com/x (Conflict), and 1 more in status.policy.conflicts"
    )
    assert announcements(after, after) == []
    assert announcements(after, before) == []


def test_a_rollout_that_is_given_up_is_told_although_older_pods_still_serve() -> None:
    rolling = status(("Available", "True", "MinimumReplicasAvailable"), ("Reconciling", "True", "RollingOut"))
    stuck = status(("Available", "True", "MinimumReplicasAvailable"), ("Stalled", "True", "ImagePullFailed"))

    assert reasons(rolling, stuck) == [("RolloutStuck", True)]


def test_a_normal_start_is_no_trouble() -> None:
    before = status(("Ready", "False", "x"))
    start = status(("Available", "False", "NoReadyReplicas"), ("StorageReady", "False", "ClaimPending"))

    assert reasons(before, start) == []


def test_a_rollout_is_told_at_both_ends() -> None:
    calm, rolling = status(("Ready", "True", "Running")), status(("Reconciling", "True", "RollingOut"))

    assert reasons(calm, rolling) == [("RolloutStarted", False)]
    assert reasons(rolling, calm) == [("RolloutComplete", False)]


def test_a_rollout_that_is_frozen_has_not_ended() -> None:
    rolling = status(("Reconciling", "True", "RollingOut"))

    assert reasons(rolling, status(("Suspended", "True", "SpecSuspend"))) == [("Suspended", False)]


def test_a_login_without_tls_is_warned_of_once_per_generation() -> None:
    login = {"auth": {"basic": {"secretRef": {"name": "login"}}}}
    clients = {"auth": {"clients": [{"name": "builds", "secretRef": {"name": "builds"}}]}}

    assert [found.reason for found in of_new_spec(proxy_value(login))] == ["AuthWithoutTLS"]
    assert [found.reason for found in of_new_spec(proxy_value(clients))] == ["AuthWithoutTLS"]
    prefetched = [
        found.reason for found in of_new_spec(proxy_value({**clients, "prefetch": {"modules": ["a.b/c@v1"]}}))
    ]
    assert prefetched == ["AuthWithoutTLS", "PrefetchHasNoLogin"]
    assert of_new_spec(proxy_value(login, status={"observedGeneration": 4})) == []
    assert of_new_spec(proxy_value()) == []


def test_another_kind_of_storage_is_told_as_a_warning() -> None:
    disk = {**status(), "storage": {"type": "disk", "claimName": "go-data", "capacity": "1Gi"}}
    memory = {**status(), "storage": {"type": "memory"}}

    assert reasons(disk, memory) == [("StorageBackendChanged", True)]
    assert reasons({}, disk) == [("Created", False)]


def test_a_volume_that_grew_is_told_and_another_claim_is_no_growth() -> None:
    small, large, other = (
        {**status(), "storage": {"type": "disk", "claimName": name, "capacity": size}}
        for name, size in (("go-data", "1Gi"), ("go-data", "2Gi"), ("theirs", "5Gi"))
    )

    assert reasons(small, large) == [("Resized", False)]
    assert reasons(large, other) == []


def test_a_policy_is_told_when_all_pods_enforce_it_and_again_when_it_changes() -> None:
    waiting = status(("PolicyProgrammed", "False", "Propagating"), digest="sha256:a")
    first = status(("PolicyProgrammed", "True", "Programmed"), digest="sha256:a")
    second = status(("PolicyProgrammed", "True", "Programmed"), digest="sha256:b")

    assert reasons(waiting, first) == [("PolicyProgrammed", False)]
    assert reasons(first, first) == []
    assert reasons(first, second) == [("PolicyProgrammed", False)]


def test_the_same_event_is_written_once_in_ten_minutes() -> None:
    async def main() -> int:
        cluster = FakeCluster()
        announcer = Announcer(cluster, instance="pod")
        for _ in range(61):
            await announcer.tell(PROXY, Announcement("SecretMissing", "x", warning=True))
            await asyncio.sleep(10)
        return len(cluster.writes)

    assert in_virtual_time(main()) == 2


def test_an_event_that_cannot_be_written_harms_nothing() -> None:
    async def main() -> None:
        cluster = FakeCluster()
        cluster.fail_with = Forbidden("no right")
        await Announcer(cluster, instance="pod").tell(PROXY, Announcement("Created", "x"))

    in_virtual_time(main())


def test_an_event_is_complete_and_bounded() -> None:
    told = event(PROXY, Announcement("Created", "ä" * 5000), instance="pod-1", now=datetime(2026, 1, 2, tzinfo=UTC))

    assert told["eventTime"] == "2026-01-02T00:00:00.000000Z"
    assert told["regarding"]["uid"] == "u1"
    assert len(told["note"].encode()) <= 1024
    assert len(told["metadata"]["name"]) <= 253
