"""A cluster in memory that satisfies `athens_operator.cluster.Cluster`, for tests of single parts of the engine.

It merges what is applied over what is there, counts versions and checks uid and resource version; it knows no
schemas, no defaults and no controllers. Everything that depends on those is tested against a real API server.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from athens_operator.cluster import FIELD_MANAGER, Conflict, NotFound
from athens_operator.echoes import Echoes
from athens_operator.errors import ClusterError
from athens_operator.manifests import Manifest, Ref, ref_of
from athens_operator.resources import Resource


class FakeCluster:
    """Objects by identity, and a list of every write.

    Attributes:
        objects: what exists; tests may change it behind the operator's back.
        writes: verb and identity of every write that was accepted.
        reads: identity of every object that was asked for.
        fail_with: raised by every call while it is set.
        denied: verb and plural of rights that are missing.
        served_schemas: by kind.
    """

    def __init__(self) -> None:
        self.objects: dict[Ref, Manifest] = {}
        self.writes: list[tuple[str, Ref]] = []
        self.reads: list[Ref] = []
        self.fail_with: ClusterError | None = None
        self.denied: set[tuple[str, str]] = set()
        self.served_schemas: Mapping[str, Manifest] = {}
        self._versions = itertools.count(2)  # as etcd does

    async def apply(self, manifest: Manifest, *, subresource: str = "", manager: str = FIELD_MANAGER) -> Manifest:
        self._answer()
        ref = ref_of(manifest)
        live = self.objects.get(ref)
        if live is None and subresource:
            raise NotFound(f"apply {ref}: not found")
        for name, absent_is_another in (("uid", True), ("resourceVersion", False)):
            wanted, found = manifest["metadata"].get(name), live["metadata"][name] if live is not None else None
            if wanted not in (None, found) and (live is not None or absent_is_another):
                raise Conflict(f"apply {ref}: another {name}")
        return self._store("apply", ref, _merged(live or {}, manifest))

    async def merge(self, manifest: Manifest) -> Manifest:
        if ref_of(manifest) not in self.objects:
            raise NotFound(f"merge {ref_of(manifest)}: not found")
        return await self.apply(manifest)

    async def create(self, manifest: Manifest, *, manager: str = FIELD_MANAGER) -> Manifest:
        self._answer()
        ref = ref_of(manifest)
        if ref in self.objects:
            raise Conflict(f"create {ref}: already exists")
        return self._store("create", ref, copy.deepcopy(manifest))

    async def get(self, ref: Ref) -> Manifest:
        self._answer()
        self.reads.append(ref)
        if ref not in self.objects:
            raise NotFound(f"read {ref}: not found")
        return copy.deepcopy(self.objects[ref])

    async def list_all(
        self, resource: Resource, *, namespaces: Sequence[str] = (), label: str = "", metadata_only: bool = False
    ) -> list[Manifest]:
        self._answer()
        found = [
            body
            for ref, body in self.objects.items()
            if (ref.api_version, ref.kind) == (resource.api_version, resource.kind)
            and (not namespaces or ref.namespace in namespaces)
            and (not label or label in (body["metadata"].get("labels") or {}))
        ]
        keep = {"apiVersion", "kind", "metadata"}
        return [
            copy.deepcopy({name: value for name, value in body.items() if not metadata_only or name in keep})
            for body in found
        ]

    async def delete(self, ref: Ref, *, uid: str) -> None:
        self._answer()
        live = self.objects.get(ref)
        if live is None:
            return
        if live["metadata"]["uid"] != uid:
            raise Conflict(f"delete {ref}: another uid")
        del self.objects[ref]
        self.writes.append(("delete", ref))

    async def schemas(self, api_version: str) -> Mapping[str, Manifest]:
        self._answer()
        return self.served_schemas

    async def may(
        self, verb: str, resource: Resource, *, namespace: str = "", name: str = "", subresource: str = ""
    ) -> bool:
        self._answer()
        return (verb, "/".join(filter(None, (resource.plural, subresource)))) not in self.denied

    def put(self, manifest: Manifest) -> Manifest:
        """Somebody else writes an object; not counted as a write of ours."""
        ref = ref_of(manifest)
        stored = self._store("", ref, _merged(self.objects.get(ref, {}), manifest))
        self.writes.pop()
        return stored

    def _store(self, verb: str, ref: Ref, body: Manifest) -> Manifest:
        before = self.objects.get(ref)
        metadata = body["metadata"]
        version = str(next(self._versions))
        metadata.setdefault("uid", f"uid-{version}")
        if before is not None and _content(before) == _content(body):
            version = before["metadata"]["resourceVersion"]
        metadata["resourceVersion"] = version
        self.objects[ref] = body
        self.writes.append((verb, ref))
        return copy.deepcopy(body)

    def _answer(self) -> None:
        if self.fail_with is not None:
            raise self.fail_with


def _content(body: Manifest) -> Manifest:
    metadata = {name: value for name, value in body["metadata"].items() if name != "resourceVersion"}
    return {**body, "metadata": metadata}


def _merged(live: Any, wanted: Any) -> Any:
    if isinstance(live, dict) and isinstance(wanted, dict):
        return {**live, **{name: _merged(live.get(name), value) for name, value in wanted.items()}}
    return copy.deepcopy(wanted)


def nobody_told() -> Echoes:
    """For parts whose events no watch tells."""
    return Echoes(lambda _before, _after: None)
