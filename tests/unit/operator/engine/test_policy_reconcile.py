"""A pass over a policy: what its author reads there alone must be enough to mend it."""

from __future__ import annotations

from typing import Any

from athens_operator.advisories import AdvisoryReader
from athens_operator.cache import Cache
from athens_operator.events import Announcer
from athens_operator.fanout import Fanout
from athens_operator.policy_reconcile import REJECTED_EVERY_S, RESYNC_S, PolicyReconciler
from athens_operator.publish import Publisher
from athens_operator.resources import API_VERSION, CONFIG_MAPS, POLICIES, Key
from support.fake_cluster import FakeCluster
from support.observations import judged

KEY = Key(POLICIES.kind, "team-a", "base")


async def one_pass(cluster: FakeCluster) -> tuple[float | None, dict[str, Any]]:
    cache = Cache()
    metadata = {"namespace": "team-a", "name": "base"}
    spec = {"advisories": {"configMapRef": {"name": "osv"}}}
    cache.put(cluster.put({"apiVersion": API_VERSION, "kind": POLICIES.kind, "metadata": metadata, "spec": spec}))
    publisher = Publisher(cluster, cache, Announcer(cluster, instance="test"))
    again = await PolicyReconciler(cache, Fanout(cache), publisher, AdvisoryReader(cluster)).reconcile(KEY)
    return again, cluster.objects[POLICIES.ref("team-a", "base")]["status"]


async def test_a_policy_says_itself_that_its_advisories_are_missing_and_is_looked_at_again_soon() -> None:
    again, status = await one_pass(FakeCluster())

    assert judged(status, "Accepted") == "False/InvalidRule"
    (accepted,) = [entry for entry in status["conditions"] if entry["type"] == "Accepted"]
    assert "spec.advisories.configMapRef.name: ConfigMap team-a/osv is not there" in accepted["message"]
    assert again == REJECTED_EVERY_S


async def test_a_policy_whose_advisories_are_there_is_accepted() -> None:
    cluster = FakeCluster()
    ref = CONFIG_MAPS.ref("team-a", "osv")
    metadata = {"namespace": ref.namespace, "name": ref.name}
    cluster.put({"apiVersion": "v1", "kind": ref.kind, "metadata": metadata, "data": {}})

    again, status = await one_pass(cluster)

    assert judged(status, "Accepted") == "True/Accepted"
    assert again == RESYNC_S
