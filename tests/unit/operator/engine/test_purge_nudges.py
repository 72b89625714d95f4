"""Pods hear at once of purged versions, each once, and never of a list that they know."""

from __future__ import annotations

from typing import Any

from athens_operator.errors import ClusterError
from athens_operator.manifests import Manifest
from athens_operator.purge_nudges import NOTHING, PURGE_ANNOTATION, PurgeNudges, digest_of_purge
from support.fake_cluster import FakeCluster
from support.operator_values import proxy_value

PURGE: dict[str, Any] = {"purge": [{"module": "example.com/evil", "version": "v1.0.0"}]}
DIGEST = digest_of_purge(proxy_value(PURGE))


def pod(name: str, **annotations: str) -> Manifest:
    metadata = {"namespace": "team-a", "name": name, "uid": f"u-{name}", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}


async def nudged(cluster: FakeCluster, spec: dict[str, Any], *pods: Manifest) -> list[str]:
    """The names of the pods that were written."""
    for body in pods:
        cluster.put(body)
    await PurgeNudges(cluster).nudge(proxy_value(spec), pods)
    return [ref.name for _, ref in cluster.writes]


async def test_pods_that_do_not_know_the_list_are_told_of_it() -> None:
    known = pod("known", **{PURGE_ANNOTATION: DIGEST})
    older = pod("older", **{PURGE_ANNOTATION: "sha256:0"})
    cluster = FakeCluster()

    assert sorted(await nudged(cluster, PURGE, known, older, pod("new"))) == ["new", "older"]
    live = [body["metadata"]["annotations"][PURGE_ANNOTATION] for body in cluster.objects.values()]
    assert live == [DIGEST] * 3


async def test_an_emptied_list_is_told_of_once_and_no_list_never() -> None:
    older = pod("older", **{PURGE_ANNOTATION: DIGEST})
    told = pod("told", **{PURGE_ANNOTATION: NOTHING})

    assert await nudged(FakeCluster(), {}, older, told, pod("new")) == ["older"]


async def test_a_pod_that_cannot_be_written_is_no_failure_of_the_pass() -> None:
    cluster = FakeCluster()
    cluster.fail_with = ClusterError("no right", transient=False)
    await PurgeNudges(cluster).nudge(proxy_value(PURGE), [pod("new")])

    assert cluster.writes == []


def test_every_change_of_the_list_is_another_digest() -> None:
    reason = {"purge": [{**PURGE["purge"][0], "reason": "SEC-1"}]}

    assert len({DIGEST, digest_of_purge(proxy_value(reason)), digest_of_purge(proxy_value())}) == 3
