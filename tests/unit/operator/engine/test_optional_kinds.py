"""Kinds that a cluster may lack: found when they appear, forgotten when they vanish, kept while nothing is known."""

from __future__ import annotations

from collections.abc import Sequence

from athens_operator.cache import Cache
from athens_operator.cluster import Forbidden, NotFound, Unavailable
from athens_operator.errors import ClusterError
from athens_operator.manifests import PROXY_LABEL, Manifest
from athens_operator.optional_kinds import OptionalKinds
from athens_operator.resources import HTTP_ROUTES, OPTIONAL_CHILDREN, Resource
from support.fake_cluster import FakeCluster

ROUTE = HTTP_ROUTES.ref("a", "go")


class Cluster(FakeCluster):
    """A cluster that refuses to list some kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals: dict[Resource, ClusterError] = {}

    async def list_all(
        self, resource: Resource, *, namespaces: Sequence[str] = (), label: str = "", metadata_only: bool = False
    ) -> list[Manifest]:
        if resource in self.refusals:
            raise self.refusals[resource]
        return await super().list_all(resource, namespaces=namespaces, label=label, metadata_only=metadata_only)


class Scene:
    """Optional kinds over an empty cache, and what they told."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.cache = Cache()
        self.told: list[tuple[Manifest | None, Manifest | None]] = []
        self.appeared = 0
        self.kinds = OptionalKinds(
            self.cluster,
            self.cache,
            namespaces=(),
            changed=lambda before, after: self.told.append((before, after)),
            appeared=self._appear,
        )

    def _appear(self) -> None:
        self.appeared += 1

    def put_route(self, **spec: str) -> Manifest:
        metadata = {"namespace": "a", "name": "go", "labels": {PROXY_LABEL: "go"}}
        return self.cluster.put(
            {"apiVersion": HTTP_ROUTES.api_version, "kind": HTTP_ROUTES.kind, "metadata": metadata, "spec": spec}
        )


async def test_a_kind_that_is_served_later_is_picked_up_once() -> None:
    scene = Scene()
    scene.cluster.refusals = {kind: NotFound("the server knows no such kind") for kind in OPTIONAL_CHILDREN}
    await scene.kinds.look()
    before = set(scene.kinds.served)
    del scene.cluster.refusals[HTTP_ROUTES]
    await scene.kinds.look()
    await scene.kinds.look()

    assert (before, scene.kinds.served, scene.appeared) == (set(), {HTTP_ROUTES}, 1)


async def test_what_changed_vanished_or_was_made_is_told() -> None:
    scene = Scene()
    first = scene.put_route()
    await scene.kinds.look()
    second = scene.put_route(changed="yes")
    await scene.kinds.look()
    del scene.cluster.objects[ROUTE]
    await scene.kinds.look()
    await scene.kinds.look()

    versions = [
        tuple(body and body["metadata"]["resourceVersion"] for body in (before, after)) for before, after in scene.told
    ]
    one, two = (body["metadata"]["resourceVersion"] for body in (first, second))
    assert versions == [(None, one), (one, two), (two, None)]
    assert scene.cache.get(ROUTE) is None


async def test_a_kind_that_vanishes_takes_its_objects_with_it() -> None:
    scene = Scene()
    scene.put_route()
    await scene.kinds.look()
    scene.cluster.refusals[HTTP_ROUTES] = NotFound("the server knows no such kind")
    await scene.kinds.look()

    assert HTTP_ROUTES not in scene.kinds.served
    assert scene.cache.get(ROUTE) is None


async def test_while_nobody_can_tell_what_is_known_stays() -> None:
    scene = Scene()
    scene.put_route()
    await scene.kinds.look()
    for error in (Unavailable("no answer"), Forbidden("no right")):
        scene.cluster.refusals[HTTP_ROUTES] = error
        await scene.kinds.look()

        assert HTTP_ROUTES in scene.kinds.served
        assert scene.cache.get(ROUTE) is not None


async def test_without_the_right_to_list_them_they_count_as_absent() -> None:
    scene = Scene()
    scene.cluster.refusals[HTTP_ROUTES] = Forbidden("no right")
    await scene.kinds.look()

    assert scene.kinds.served == {*OPTIONAL_CHILDREN} - {HTTP_ROUTES}


async def test_what_we_made_after_the_list_was_answered_is_not_taken_for_gone() -> None:
    scene = Scene()
    scene.cache.put(scene.put_route())

    async def stale(*_: object, **__: object) -> list[Manifest]:
        return []

    scene.cluster.list_all = stale  # type: ignore[method-assign]
    await scene.kinds.look()

    assert scene.cache.get(ROUTE) is not None
