"""Which proxies keep their modules in one place, and which of them has to give way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from athens_operator.events import of_new_spec
from athens_operator.shared_stores import Occupancy, Sharing, sharing_of
from athens_operator.spec import AthensProxy
from athens_operator.spec.places import Place
from athens_operator.status import status_of
from support.observations import NOW, condition_of, judged, observed
from support.operator_values import DISK, MEMORY, proxy_body, proxy_value


def store(kind: str, **member: Any) -> dict[str, Any]:
    return {"type": kind, kind: member}


def s3(prefix: str = "", **member: Any) -> dict[str, Any]:
    return store("s3", bucket="modules", region="eu", **({"prefix": prefix} if prefix else {}), **member)


def minio(endpoint: str) -> dict[str, Any]:
    return store("minio", endpoint=endpoint, bucket="modules", credentialsSecretRef={"name": "a"})


def azure(account: str) -> dict[str, Any]:
    return store("azureBlob", accountName=account, containerName="modules")


def made(name: str, storage: dict[str, Any], *, day: int = 1, namespace: str = "team-a") -> AthensProxy:
    body = proxy_body({"storage": storage})
    body["metadata"] |= {"name": name, "namespace": namespace, "creationTimestamp": f"2026-01-{day:02}T00:00:00Z"}
    return AthensProxy.parse(body)


def around(*proxies: AthensProxy) -> Callable[[Place], Iterable[AthensProxy]]:
    occupancy = Occupancy()
    for proxy in proxies:
        occupancy.add(proxy)
    return occupancy.around


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (s3(), s3(), True),
        (s3("team-a"), s3("team-a"), True),
        (s3("team-a"), s3("team-b"), False),
        (s3("team-a"), s3("team-ab"), False),
        (s3(), s3("team-a"), True),
        (s3("a"), s3("a/b/c"), True),
        (s3("a/b"), s3("a/c"), False),
        (s3(), store("s3", bucket="others", region="eu"), False),
        (s3(), store("s3", bucket="modules", region="us"), True),
        (s3(), s3(endpoint="https://s3.example.com"), False),
        (s3(endpoint="http://Minio.infra.svc:9000/"), minio("minio.infra.svc:9000"), True),
        (store("gcs", bucket="modules"), s3(), False),
        (azure("one"), azure("one"), True),
        (azure("one"), azure("two"), False),
        (store("external", url="https://a.example.com"), store("external", url="https://a.example.com/"), True),
        (store("external", url="https://a.example.com"), store("external", url="https://b.example.com"), False),
        (dict(DISK), dict(DISK), False),
        (dict(MEMORY), dict(MEMORY), False),
        (
            store("mongo", connectionSecretRef={"name": "a"}),
            store("mongo", connectionSecretRef={"name": "a"}),
            False,
        ),
    ],
)
def test_two_places_are_one_when_they_are_equal_or_one_holds_the_other(
    one: dict[str, Any], other: dict[str, Any], same: bool
) -> None:
    first, second = (proxy_value({"storage": storage}).place for storage in (one, other))

    assert bool(first and second and first.collides_with(second)) is same
    assert bool(first and second and second.collides_with(first)) is same


PREFIXES = ("", "a", "a/b", "a/b/c", "ab", "b", "/", "/a", "a/")


def test_around_a_place_are_exactly_the_proxies_that_collide_with_it_until_they_are_gone() -> None:
    proxies = [made(f"{kind}-{at}", storage) for at, storage in enumerate(map(s3, PREFIXES)) for kind in ("one", "two")]
    proxies += [made("elsewhere", store("s3", bucket="others", region="eu")), made("disk", dict(DISK))]
    occupancy = Occupancy()
    for proxy in proxies:
        occupancy.add(proxy)
    gone, left = proxies[::3], [proxy for proxy in proxies if proxy not in proxies[::3]]
    places = [proxy.place for proxy in proxies if proxy.place is not None]

    def expected(known: list[AthensProxy], place: Place) -> list[tuple[str, str]]:
        return sorted(proxy.key for proxy in known if proxy.place and proxy.place.collides_with(place))

    for place in places:
        assert sorted(proxy.key for proxy in occupancy.around(place)) == expected(proxies, place)
    for proxy in gone:
        occupancy.remove(proxy)
    for place in places:
        assert sorted(proxy.key for proxy in occupancy.around(place)) == expected(left, place)


def test_across_namespaces_the_younger_gives_way_and_only_that_one() -> None:
    old, young = made("go", s3("x"), day=1), made("go", s3(), day=2, namespace="team-b")

    assert sharing_of(young, around(old, young)) == Sharing("modules", ("team-a/go",), ("team-a/go",))
    assert sharing_of(old, around(old, young)) == Sharing("modules/x", ("team-b/go",), ())


def test_of_two_of_one_second_still_only_one_gives_way() -> None:
    one, other = made("go", s3()), made("go", s3(), namespace="team-b")

    assert [bool(sharing_of(proxy, around(one, other)).blocked_by) for proxy in (one, other)] == [False, True]


@pytest.mark.parametrize(("ours", "theirs", "blocked"), [(True, True, False), (True, False, True), (False, True, True)])
def test_both_must_agree(ours: bool, theirs: bool, blocked: bool) -> None:
    old = made("go", {**s3(), "allowSharing": theirs})
    young = made("go", {**s3(), "allowSharing": ours}, day=2, namespace="team-b")

    assert bool(sharing_of(young, around(old, young)).blocked_by) is blocked


def test_within_a_namespace_it_is_only_reported() -> None:
    old, young = made("one", s3()), made("two", s3(), day=2)

    assert sharing_of(young, around(old, young)) == Sharing("modules", ("team-a/one",), ())


def test_the_status_names_the_other_and_the_ways_out() -> None:
    proxy = proxy_value({"storage": s3()})
    found = status_of(proxy, observed(proxy, sharing=Sharing("modules", ("b/go", "c/go"), ("b/go", "c/go"))), NOW)

    assert judged(found, "StorageReady") == "False/StorageShared"
    assert condition_of(found, "StorageReady")["message"] == (
        "modules already holds the modules of AthensProxy b/go and 1 more; choose another bucket or prefix, or set "
        "spec.storage.allowSharing on both"
    )
    assert found["storage"]["sharedWith"] == ["b/go", "c/go"]
    assert judged(found, "Stalled") == "True/StorageShared"


def test_another_kind_of_store_is_told_once() -> None:
    before = {"observedGeneration": 3, "storage": {"type": "disk"}}

    assert [told.reason for told in of_new_spec(proxy_value({"storage": s3()}, status=before))] == [
        "StorageBackendChanged"
    ]
    assert of_new_spec(proxy_value({"storage": s3()}, status={**before, "observedGeneration": 4})) == []
    assert of_new_spec(proxy_value({"storage": dict(DISK)}, status=before)) == []
