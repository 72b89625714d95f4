"""What the watches have seen: every object the operator works with, newest version known, in memory.

Events of a watch, answers to our own writes and the anti-entropy list all end up in `put` and `remove`, which ignore
what is older than what is known. So an echo of our own write changes nothing, unless it overtakes the answer to that
write (`echoes.py`).
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from athens_operator.errors import SpecError
from athens_operator.manifests import Manifest, Ref, ref_of
from athens_operator.policies import Policy
from athens_operator.resources import NAMESPACES, POLICY_KINDS, PROXIES, Key, Resource, key_of, owner_key
from athens_operator.shared_stores import Occupancy
from athens_operator.spec import AthensProxy, Identity
from athens_operator.spec.places import Place

TOMBSTONES_AT_MOST = 10_000
TEXTS_AT_MOST = 2_000  # those that many objects share are looked up often enough to stay


class Cache:
    """Objects by identity, proxies and policies also as parsed values, children by the proxy they belong to."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str], dict[Ref, Manifest]] = defaultdict(dict)
        self._owned: dict[Key, set[Ref]] = defaultdict(set)
        self._parsed: dict[Key, AthensProxy | Policy | SpecError] = {}
        self._policies: dict[Key, Policy] = {}  # the few among the parsed ones that each pass over a proxy asks for
        self._occupancy = Occupancy()
        self._buried: dict[str, int] = {}  # uid -> resource version of its deletion

    def get(self, ref: Ref) -> Manifest | None:
        """The object as last seen, or None."""
        return self._objects[ref.api_version, ref.kind].get(ref)

    def all_of(self, resource: Resource) -> list[Manifest]:
        """Every object of a kind."""
        return list(self._objects[resource.api_version, resource.kind].values())

    def owned_by(self, key: Key) -> dict[Ref, Manifest]:
        """Every object that carries the label of this proxy, whoever made it."""
        found = ((ref, self.get(ref)) for ref in self._owned.get(key, ()))
        return {ref: body for ref, body in found if body is not None}

    def put(self, body: Manifest) -> tuple[bool, Manifest | None]:
        """Remember a version of an object.

        Returns:
            Whether it was news, and what was known before. Old versions, echoes and versions of what has been
            deleted since are no news.
        """
        ref, version, uid = ref_of(body), version_of(body), uid_of(body)
        before = self.get(ref)
        if before is not None and uid_of(before) == uid and version_of(before) >= version:
            return False, before
        if self._buried.get(uid, -1) >= version:
            return False, before
        slim = _slim(body)
        again = self._reread(ref, before, slim) if before is not None else None
        if before is not None:
            self._forget(ref, before)
        self._remember(ref, slim, again)
        return True, before

    def remove(self, body: Mapping[str, Any]) -> Manifest | None:
        """Forget an object that was deleted or left the label selector; what was known of it, if it was that one."""
        ref, uid = ref_of(body), uid_of(body)
        self._buried[uid] = max(self._buried.get(uid, -1), version_of(body))
        while len(self._buried) > TOMBSTONES_AT_MOST:
            del self._buried[next(iter(self._buried))]
        before = self.get(ref)
        if before is None or uid_of(before) != uid:
            return None
        self._forget(ref, before)
        return before

    def evict(self, ref: Ref) -> None:
        """Forget what is known under a name, because the API server says that it is something else by now."""
        before = self.get(ref)
        if before is not None:
            self._forget(ref, before)

    def parsed(self, key: Key) -> AthensProxy | Policy | SpecError | None:
        """One of our own objects as a value, or why it cannot be read; None when it does not exist."""
        return self._parsed.get(key)

    def proxies(self) -> Iterable[AthensProxy]:
        """Every proxy whose spec can be read."""
        return [value for value in self._parsed.values() if isinstance(value, AthensProxy)]

    def proxies_around(self, place: Place) -> list[AthensProxy]:
        """Every proxy whose spec can be read and whose modules are there, or below or above."""
        return self._occupancy.around(place)

    def policies(self) -> Iterable[Policy]:
        """Every policy of both kinds whose reach can be read."""
        return list(self._policies.values())

    def keys_of(self, resource: Resource) -> list[Key]:
        """The keys of every object of one of our own kinds."""
        return [key_of(body) for body in self.all_of(resource)]

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """Labels of a namespace; empty in a namespaced installation, which sees no namespaces."""
        body = self.get(NAMESPACES.ref("", namespace))
        return (body or {}).get("metadata", {}).get("labels") or {}

    def _reread(self, ref: Ref, before: Manifest, body: Manifest) -> AthensProxy | None:
        """The proxy as a value when its spec is as it was: most versions of it differ by their status alone."""
        known = self._parsed.get(Key(ref.kind, ref.namespace, ref.name))
        if not isinstance(known, AthensProxy) or before.get("spec") != body.get("spec"):
            return None
        return replace(known, identity=Identity.of(body))

    def _remember(self, ref: Ref, body: Manifest, again: AthensProxy | None) -> None:
        self._objects[ref.api_version, ref.kind][ref] = body
        if ref.kind == PROXIES.kind:
            self._parsed[key_of(body)] = proxy = again or _parse(AthensProxy, body)
            if isinstance(proxy, AthensProxy):
                self._occupancy.add(proxy)
        elif ref.kind in {resource.kind for resource in POLICY_KINDS}:
            key = key_of(body)
            self._parsed[key] = policy = _parse(Policy, body)
            if isinstance(policy, Policy):
                self._policies[key] = policy
        elif (owner := owner_key(body)) is not None:
            self._owned[owner].add(ref)

    def _forget(self, ref: Ref, body: Manifest) -> None:
        del self._objects[ref.api_version, ref.kind][ref]
        key = Key(ref.kind, ref.namespace, ref.name)
        known = self._parsed.pop(key, None)
        if isinstance(known, AthensProxy):
            self._occupancy.remove(known)
        self._policies.pop(key, None)
        owner = owner_key(body)
        if owner is not None:
            self._owned[owner].discard(ref)
            if not self._owned[owner]:
                del self._owned[owner]


def uid_of(body: Mapping[str, Any]) -> str:
    """The uid, which tells an object from its namesakes before and after it."""
    return str(body["metadata"].get("uid", ""))


def version_of(body: Mapping[str, Any]) -> int:
    """The resource version as a number, by which Kubernetes orders the versions of an object.

    Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
    """
    text = str(body["metadata"].get("resourceVersion") or "0")
    return int(text) if text.isdecimal() else 0


def _parse(model: type[AthensProxy] | type[Policy], body: Manifest) -> AthensProxy | Policy | SpecError:
    try:
        return model.parse(body)
    except SpecError as error:
        return error


def _slim(body: Manifest) -> Manifest:
    """The object without its field ownership, in little memory.

    Of that the managers' names and times are kept for messages, and who writes the number of replicas.
    """
    metadata = body["metadata"]
    managers = [
        {name: entry[name] for name in ("manager", "operation", "subresource", "time") if name in entry}
        | _scaling(entry)
        for entry in metadata.get("managedFields") or ()
    ]
    slim: Manifest = _shared({**body, "metadata": {**metadata, "managedFields": managers}})
    return slim


def _shared(value: Any) -> Any:
    """A copy that has every text in common with the other objects: policy files above all, and the names of fields."""
    if isinstance(value, dict):
        return {sys.intern(name): _shared(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_shared(entry) for entry in value]
    return _one_of(value) if type(value) is str else value


@lru_cache(maxsize=TEXTS_AT_MOST)
def _one_of(text: str) -> str:
    """The first of equal texts. Interpreters that never forget an interned text would keep every version number."""
    return text


def _scaling(entry: Mapping[str, Any]) -> Manifest:
    if "f:replicas" not in ((entry.get("fieldsV1") or {}).get("f:spec") or {}):
        return {}
    return {"fieldsV1": {"f:spec": {"f:replicas": {}}}}
