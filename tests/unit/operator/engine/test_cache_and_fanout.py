"""What counts as news, and which keys news concern."""

from __future__ import annotations

import asyncio
from typing import Any

from athens_operator.anti_entropy import BLIND_AFTER_ROUNDS, DOUBTED_AFTER_ROUNDS, AntiEntropy
from athens_operator.cache import Cache
from athens_operator.fanout import Fanout
from athens_operator.manifests import Manifest, ref_of
from athens_operator.metrics import Metrics
from athens_operator.resources import NAMESPACES, POLICIES, SERVICES, Key
from athens_operator.spec import AthensProxy
from support.fake_cluster import FakeCluster
from support.proxies import deny, policy, proxy, service_ref
from support.virtual_time import in_virtual_time

GO = Key("AthensProxy", "a", "go")
BASE = Key("DownloadPolicy", "a", "base")


def stored(manifest: Manifest, *, version: int = 1, uid: str = "u", generation: int = 1, **metadata: Any) -> Manifest:
    """The manifest as an API server would return it."""
    own = {"uid": uid, "resourceVersion": str(version), "generation": generation}
    return {**manifest, "metadata": {**manifest["metadata"], **own, **metadata}}


def service(**metadata: Any) -> Manifest:
    labels = {"labels": {"athensproxy.dev/proxy": "go"}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "a", "name": "go", **labels, **metadata}}


def test_echoes_and_older_versions_are_no_news() -> None:
    cache = Cache()

    assert cache.put(stored(service(), version=5))[0] is True
    assert cache.put(stored(service(), version=5))[0] is False
    assert cache.put(stored(service(), version=4))[0] is False
    assert cache.put(stored(service(), version=6))[0] is True


def test_a_late_event_does_not_bring_a_deleted_object_back() -> None:
    cache = Cache()
    cache.put(stored(service(), version=5))
    cache.remove(stored(service(), version=7))

    assert cache.put(stored(service(), version=6))[0] is False
    assert cache.put(stored(service(), version=8))[0] is True  # it had only left the selector


def test_a_late_deletion_does_not_remove_the_namesake() -> None:
    cache = Cache()
    cache.put(stored(service(), version=9, uid="second"))

    assert cache.remove(stored(service(), version=7, uid="first")) is None
    assert cache.get(service_ref("a")) is not None


def test_children_are_found_by_their_proxy_until_they_lose_the_label() -> None:
    cache = Cache()
    cache.put(stored(service(), version=1))
    assert list(cache.owned_by(GO)) == [service_ref("a")]

    cache.put(stored(service(labels={}), version=2))

    assert cache.owned_by(GO) == {}


def test_a_policy_file_that_many_proxies_have_is_kept_once() -> None:
    cache = Cache()
    files = []
    for name in ("one-policy", "other-policy"):
        data = {"download.hcl": "\n".join(['mode = "sync"', 'downloadURL = ""'])}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "a", "name": name}, "data": data}
        cache.put(stored(body, uid=name))
        files.append((cache.get(ref_of(body)) or {})["data"]["download.hcl"])

    assert files[0] is files[1]


def test_a_proxy_is_read_anew_when_its_spec_changed_and_only_then() -> None:
    cache = Cache()
    cache.put(stored(proxy("a"), version=1))
    first = cache.parsed(GO)
    status = {"phase": "Ready"}
    cache.put(stored({**proxy("a"), "status": status}, version=2))
    second = cache.parsed(GO)
    cache.put(stored(proxy("a", replicas=3), version=3, generation=2))
    third = cache.parsed(GO)

    assert isinstance(first, AthensProxy)
    assert isinstance(second, AthensProxy)
    assert isinstance(third, AthensProxy)
    assert second.spec is first.spec
    assert second.identity.status == status
    assert (third.spec.replicas, third.generation) == (3, 2)


def test_policies_are_those_that_exist_and_can_be_read() -> None:
    cache = Cache()
    body = {"apiVersion": POLICIES.api_version, "kind": POLICIES.kind, "metadata": {"namespace": "a", "name": "base"}}
    cache.put(stored({**body, "spec": {"priority": 1}}, version=1))
    first = [policy.reach.priority for policy in cache.policies()]
    cache.put(stored({**body, "spec": {"priority": 2}}, version=2))
    second = [policy.reach.priority for policy in cache.policies()]
    cache.put(stored({**body, "spec": {"priority": "many"}}, version=3))
    third = list(cache.policies())
    cache.put(stored({**body, "spec": {}}, version=4))
    cache.remove(stored(body, version=5))

    assert (first, second, third, list(cache.policies())) == ([1], [2], [], [])


def test_a_proxy_is_found_where_its_modules_are_and_nowhere_else() -> None:
    cache = Cache()
    places = []
    for version, bucket in enumerate(("one", "other"), start=1):
        cache.put(stored(proxy("a", storage={"type": "gcs", "gcs": {"bucket": bucket}}), version=version))
        value = cache.parsed(GO)
        assert isinstance(value, AthensProxy)
        assert value.place is not None
        places.append(value.place)
    moved = [len(cache.proxies_around(place)) for place in places]
    cache.remove(stored(proxy("a"), version=3))

    assert (moved, cache.proxies_around(places[1])) == ([0, 1], [])


def test_field_ownership_is_reduced_to_who_and_when() -> None:
    cache = Cache()
    entry = {"manager": "kubectl", "operation": "Update", "time": "t", "fieldsV1": {"f:spec": {}}}
    cache.put(stored(service(managedFields=[entry])))

    kept = cache.get(service_ref("a"))

    assert kept is not None
    assert kept["metadata"]["managedFields"] == [{"manager": "kubectl", "operation": "Update", "time": "t"}]


def test_a_status_write_of_our_own_is_no_work() -> None:
    cache = Cache()
    fanout = Fanout(cache)
    before = stored(proxy("a"), version=1)
    after = {**stored(proxy("a"), version=2), "status": {"phase": "Ready"}}

    assert fanout.concerned(before, after) == set()
    assert fanout.concerned(None, before) == {GO}
    assert fanout.concerned(before, None) == {GO}
    assert fanout.concerned(before, stored(proxy("a"), version=3, generation=2)) == {GO}
    assert fanout.concerned(before, stored(proxy("a"), version=3, labels={"a": "b"})) == {GO}
    assert fanout.concerned(before, stored(proxy("a"), version=3, annotations={"foreign": "x"})) == set()
    ours = {"athensproxy.dev/requestedAt": "now"}
    assert fanout.concerned(before, stored(proxy("a"), version=3, annotations=ours)) == {GO}


def test_any_change_of_a_child_concerns_its_proxy_also_when_the_label_goes() -> None:
    fanout = Fanout(Cache())
    labelled, bare = stored(service(), version=1), stored(service(labels={}), version=2)

    assert fanout.concerned(labelled, bare) == {GO}
    assert fanout.concerned(labelled, None) == {GO}
    assert fanout.concerned(None, bare) == set()


def test_a_policy_concerns_the_proxies_that_it_selects_and_those_that_it_selected() -> None:
    cache = Cache()
    fanout = Fanout(cache)
    cache.put(stored(proxy("a"), uid="p1"))
    cache.put(stored(proxy("b"), uid="p2"))
    selects = stored(policy("a", "base", deny("example.com/x")), uid="pol")
    cache.put(selects)
    assert fanout.concerned(None, selects) == {BASE, GO}

    fanout.remember(GO, [BASE])
    elsewhere = policy("a", "base", deny("example.com/x"), proxySelector={"matchLabels": {"other": "one"}})
    moved = stored(elsewhere, uid="pol", version=2, generation=2)
    cache.put(moved)

    assert fanout.concerned(selects, moved) == {BASE, GO}


def test_a_deleted_policy_concerns_the_proxies_that_used_or_name_it() -> None:
    cache = Cache()
    fanout = Fanout(cache)
    cache.put(stored(proxy("a", "used"), uid="p1"))
    cache.put(stored(proxy("a", "names", policyRefs=[{"name": "base"}]), uid="p2"))
    cache.put(stored(proxy("a", "other"), uid="p3"))
    used = Key("AthensProxy", "a", "used")
    fanout.remember(used, [BASE])
    gone = stored(policy("a", "base", deny("example.com/x")), uid="pol")

    assert fanout.concerned(gone, None) == {BASE, used, Key("AthensProxy", "a", "names")}


def test_policies_that_come_and_go_are_reported_together() -> None:
    fanout = Fanout(Cache())
    other = Key("DownloadPolicy", "a", "other")
    assert fanout.remember(GO, [BASE]) == {BASE}
    assert fanout.remember(GO, [BASE]) == set()

    assert fanout.remember(GO, [other]) == {BASE, other}
    assert fanout.attached_to(BASE) == set()
    assert fanout.attached_to(other) == {GO}
    assert fanout.remember(GO, ()) == {other}


def test_labels_of_a_namespace_concern_its_proxies() -> None:
    cache = Cache()
    fanout = Fanout(cache)
    cache.put(stored(proxy("a"), uid="p1"))
    cache.put(stored(proxy("b"), uid="p2"))
    space: Manifest = {"apiVersion": "v1", "kind": NAMESPACES.kind, "metadata": {"name": "a"}}
    before, after = stored(space), stored(space, version=2, labels={"tier": "gold"})

    assert fanout.concerned(before, after) == {GO}
    assert fanout.concerned(before, stored(space, version=2)) == set()


class Heard:
    """Remembers what anti-entropy told."""

    def __init__(self) -> None:
        self.kinds: list[tuple[str, str]] = []

    def __call__(self, before: Manifest | None, after: Manifest | None) -> None:
        body = after or before
        assert body is not None
        verb = "gone" if after is None else "new" if before is None else "changed"
        self.kinds.append((verb, body["metadata"]["name"]))


def test_a_lost_deletion_and_a_lost_change_are_found_and_a_healthy_cache_is_left_alone() -> None:
    async def main() -> None:
        cluster, cache, heard = FakeCluster(), Cache(), Heard()
        finder = AntiEntropy(cluster, cache, namespaces=(), changed=heard, metrics=Metrics())
        for name in ("ghost", "edited", "same"):
            cluster.put(policy("a", name, deny("example.com/x")))
        await finder.seed(POLICIES)
        heard.kinds.clear()
        assert await finder.compare(POLICIES) == 0

        del cluster.objects[POLICIES.ref("a", "ghost")]
        cluster.put(policy("a", "edited", deny("example.com/y")))
        cluster.put(policy("a", "unseen", deny("example.com/z")))

        assert await finder.compare(POLICIES) == 3
        assert set(heard.kinds) == {("gone", "ghost"), ("changed", "edited"), ("new", "unseen")}
        assert finder.blind_kinds() == []
        for number in range(BLIND_AFTER_ROUNDS - 1):
            assert finder.blind_kinds() == []
            cluster.put(policy("a", f"unseen-{number}", deny("example.com/z")))
            await finder.compare(POLICIES)
        assert finder.blind_kinds() == finder.blind_kinds(DOUBTED_AFTER_ROUNDS) == ["DownloadPolicy"]

    in_virtual_time(main())


def test_an_object_that_lost_our_label_is_gone_for_us() -> None:
    async def main() -> None:
        cluster, cache, heard = FakeCluster(), Cache(), Heard()
        finder = AntiEntropy(cluster, cache, namespaces=(), changed=heard, metrics=Metrics())
        cluster.put(service())
        await finder.seed(SERVICES)
        cluster.objects[service_ref("a")]["metadata"] |= {"labels": {}, "resourceVersion": "99"}

        await finder.compare(SERVICES)

        assert heard.kinds[-1] == ("gone", "go")
        assert await finder.compare(SERVICES) == 0

    in_virtual_time(main())


def test_a_watch_that_is_only_a_little_late_is_not_called_blind() -> None:
    async def main() -> None:
        cluster, cache, heard = FakeCluster(), Cache(), Heard()
        finder = AntiEntropy(cluster, cache, namespaces=(), changed=heard, metrics=Metrics())
        await finder.seed(POLICIES)
        late = cluster.put(policy("a", "late", deny("example.com/x")))
        asyncio.get_running_loop().call_later(1, cache.put, late)

        assert await finder.compare(POLICIES) == 0
        assert heard.kinds == []

    in_virtual_time(main())


def bucket(prefix: str, **storage: Any) -> dict[str, Any]:
    return {"type": "s3", "s3": {"bucket": "modules", "region": "eu", "prefix": prefix}, **storage}


def test_proxies_in_one_place_hear_of_each_other() -> None:
    """The younger of two waits until both agree, and must notice it whoever moves."""
    cache = Cache()
    fanout = Fanout(cache)
    alone = stored(proxy("c", storage=bucket("elsewhere")), uid="c")
    waiting = stored(proxy("b", storage=bucket("team/b")), uid="b")
    first = stored(proxy("a", storage=bucket("team")), uid="a")
    for body in (alone, waiting, first):
        cache.put(body)
    agreed = stored(proxy("a", storage=bucket("team", allowSharing=True)), uid="a", version=2, generation=2)
    moved = stored(proxy("a", storage=bucket("other")), uid="a", version=3, generation=3)
    edited = stored(proxy("a", storage=bucket("team"), replicas=0), uid="a", version=4, generation=4)
    neighbours = {GO, Key("AthensProxy", "b", "go")}

    assert fanout.concerned(None, first) == neighbours
    assert fanout.concerned(first, agreed) == neighbours
    assert fanout.concerned(first, edited) == {GO}
    cache.put(moved)
    assert fanout.concerned(agreed, moved) == neighbours
    cache.remove(moved)
    assert fanout.concerned(first, None) == neighbours


def test_a_proxy_whose_spec_cannot_be_read_concerns_itself_alone() -> None:
    cache = Cache()
    broken = stored(proxy("a", storage={"type": "s3"}))
    cache.put(broken)

    assert Fanout(cache).concerned(None, broken) == {GO}


def test_a_process_that_begins_anew_knows_from_its_status_what_is_attached_to_a_proxy() -> None:
    """Otherwise each restart would tell every policy that no proxy has it, and take that back a moment later."""
    cache = Cache()
    body = {
        **proxy("a"),
        "status": {"policy": {"sources": [{"kind": "DownloadPolicy", "namespace": "a", "name": "p"}]}},
    }
    cache.put({**body, "metadata": {**body["metadata"], "uid": "u", "resourceVersion": "1"}})
    fanout = Fanout(cache)
    key, wanted = Key("AthensProxy", "a", "go"), Key("DownloadPolicy", "a", "p")

    before = fanout.attached_to(wanted), fanout.attached_to(Key("DownloadPolicy", "b", "p"))
    fanout.remember(key, ())

    assert before == ({key}, set())
    assert fanout.attached_to(wanted) == set()
