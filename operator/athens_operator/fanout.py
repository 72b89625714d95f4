"""From a change of one object to the keys that must run: level-triggered, old and new matches alike.

A policy that stops selecting a proxy concerns that proxy as much as one that starts to, so what was attached at the
last pass is remembered and united with what would be attached now.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from athens_operator.attachment import may_attach
from athens_operator.cache import Cache, uid_of
from athens_operator.errors import SpecError
from athens_operator.manifests import Manifest
from athens_operator.policies import Policy
from athens_operator.resources import GROUP, NAMESPACES, POLICY_KINDS, PROXIES, Key, key_of, owner_key
from athens_operator.spec import AthensProxy
from athens_operator.spec.places import Place

OUR_ANNOTATIONS = f"{GROUP}/"
POLICY_KIND_NAMES = frozenset(resource.kind for resource in POLICY_KINDS)


class Fanout:
    """Which keys a change concerns.

    Args:
        cache: already holds the change.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._proxies_of: dict[Key, set[Key]] = defaultdict(set)
        self._policies_of: dict[Key, set[Key]] = {}
        self._looked_at: set[Key] = set()

    def remember(self, proxy: Key, policies: Iterable[Key]) -> set[Key]:
        """Note what is attached to a proxy now; every policy that has come or gone since the last time."""
        self._looked_at.add(proxy)
        now = set(policies)
        before = self._policies_of.pop(proxy, set())
        for policy in before - now:
            self._proxies_of[policy].discard(proxy)
        for policy in now:
            self._proxies_of[policy].add(proxy)
        if now:
            self._policies_of[proxy] = now
        return before ^ now

    def attached_to(self, policy: Key) -> set[Key]:
        """The proxies that the policy was attached to when each of them was last looked at.

        For one that this process has not looked at yet its own status tells, which an earlier process wrote.
        """
        unseen = (proxy for proxy in self._cache.proxies() if _key(proxy) not in self._looked_at)
        return {*self._proxies_of.get(policy, ()), *(_key(proxy) for proxy in unseen if _reports(proxy, policy))}

    def concerned(self, before: Manifest | None, after: Manifest | None) -> set[Key]:
        """The keys to run because an object changed, appeared (no `before`) or vanished (no `after`)."""
        body = after or before
        if body is None:
            return set()
        kind = body["kind"]
        if kind == PROXIES.kind:
            return {key_of(body)} | self._neighbours(before, after) if _differs(before, after) else set()
        if kind in POLICY_KIND_NAMES:
            return self._by_policy(key_of(body)) if _differs(before, after) else set()
        if kind == NAMESPACES.kind:
            return self._by_namespace(body["metadata"]["name"]) if _differs(before, after) else set()
        owners = (owner_key(version) for version in (before, after) if version is not None)
        return {owner for owner in owners if owner is not None}

    def _neighbours(self, before: Manifest | None, after: Manifest | None) -> set[Key]:
        """Proxies whose modules are or were in the same place: one that waits may start now, the others tell of it."""
        bodies = [body for body in (before, after) if body is not None]
        storages = [(body.get("spec") or {}).get("storage") for body in bodies]
        if len(storages) == 2 and storages[0] == storages[1]:
            return set()
        places = [place for place in map(_place, bodies) if place is not None]
        return {_key(other) for place in places for other in self._cache.proxies_around(place)}

    def _by_policy(self, policy_key: Key) -> set[Key]:
        matches = self.attached_to(policy_key)
        policy = self._cache.parsed(policy_key)
        if isinstance(policy, Policy):
            matches |= {
                _key(proxy)
                for proxy in self._cache.proxies()
                if may_attach(policy, proxy, self._cache.namespace_labels(proxy.namespace))
            }
        else:  # gone or unreadable: proxies that name it must say so
            matches |= {_key(proxy) for proxy in self._cache.proxies() if _names(proxy, policy_key)}
        return {*matches, policy_key}

    def _by_namespace(self, namespace: str) -> set[Key]:
        return {_key(proxy) for proxy in self._cache.proxies() if proxy.namespace == namespace}


def _key(proxy: AthensProxy) -> Key:
    return Key(PROXIES.kind, proxy.namespace, proxy.name)


def _place(body: Manifest) -> Place | None:
    """Where the modules of an AthensProxy are, as far as its spec can be read."""
    try:
        return AthensProxy.parse(body).place
    except SpecError:
        return None


def _reports(proxy: AthensProxy, policy: Key) -> bool:
    """Whether the proxy's status names the policy among the sources of its file."""
    sources = (proxy.identity.status.get("policy") or {}).get("sources") or ()
    return any(
        (source.get("kind"), source.get("namespace", ""), source.get("name")) == tuple(policy) for source in sources
    )


def _names(proxy: AthensProxy, policy: Key) -> bool:
    return any(
        ref.kind == policy.kind
        and ref.name == policy.name
        and policy.namespace in ("", ref.namespace or proxy.namespace)
        for ref in proxy.spec.policy_refs
    )


def _differs(before: Manifest | None, after: Manifest | None) -> bool:
    """Whether anything that we read changed; status and foreign annotations do not count, nor does our own echo."""
    if before is None or after is None:
        return before is not after
    return _read_by_us(before) != _read_by_us(after)


def _read_by_us(body: Mapping[str, Any]) -> tuple[object, ...]:
    metadata = body["metadata"]
    annotations = metadata.get("annotations") or {}
    return (
        uid_of(body),
        metadata.get("generation"),
        metadata.get("deletionTimestamp"),
        metadata.get("labels") or {},
        {name: value for name, value in annotations.items() if name.startswith(OUR_ANNOTATIONS)},
    )
