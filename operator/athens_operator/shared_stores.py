"""Which proxies keep their modules in one place, and who has to give way. Pure.

Athens has no key prefix of its own, so two proxies on one bucket serve each other's private modules. Within a namespace
that is the team's affair and only reported; across namespaces the younger one does not start before both have agreed.
What stands in a Secret, such as a connection string, is not compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from athens_operator.spec import AthensProxy
from athens_operator.spec.places import Place


@dataclass(frozen=True, slots=True)
class Sharing:
    """Who else uses a proxy's store.

    Args:
        place: the store; empty when it cannot be shared or is not known.
        others: every other proxy there, as `namespace/name`.
        blocked_by: those of other namespaces that were there first and have not agreed, or with whom we have not.
    """

    place: str = ""
    others: tuple[str, ...] = ()
    blocked_by: tuple[str, ...] = ()


UNSHARED = Sharing()
"""Nobody else is known to use the store."""
WHOLE = ""
"""Stands for the first element of no prefix."""


class Occupancy:
    """Which proxies keep their modules where. A look at one place does not go over all proxies.

    Within a bucket they are told apart by the first element of the prefix: places that collide have that in common,
    unless one of them is the whole bucket.
    """

    def __init__(self) -> None:
        self._heads: dict[object, dict[str, dict[tuple[str, str], AthensProxy]]] = defaultdict(dict)

    def add(self, proxy: AthensProxy) -> None:
        """A proxy is known."""
        if proxy.place is not None:
            self._heads[proxy.place.root].setdefault(_head(proxy.place), {})[proxy.key] = proxy

    def remove(self, proxy: AthensProxy) -> None:
        """A proxy is gone, or known otherwise from now on."""
        if proxy.place is None:
            return
        heads, head = self._heads[proxy.place.root], _head(proxy.place)
        heads.get(head, {}).pop(proxy.key, None)
        if not heads.get(head):
            heads.pop(head, None)
        if not heads:  # buckets come and go for years
            del self._heads[proxy.place.root]

    def around(self, place: Place) -> list[AthensProxy]:
        """Every proxy whose place collides with this one."""
        heads = self._heads.get(place.root, {})
        near = heads.keys() & {WHOLE, _head(place)} if place.prefix else heads.keys()
        found = (proxy for head in near for proxy in heads[head].values())
        return [proxy for proxy in found if proxy.place is not None and place.collides_with(proxy.place)]


def sharing_of(proxy: AthensProxy, around: Callable[[Place], Iterable[AthensProxy]]) -> Sharing:
    """Who shares the store of a proxy.

    Args:
        proxy: whose store.
        around: every proxy whose place collides with one, the proxy itself included.
    """
    place = proxy.place
    if place is None:
        return UNSHARED
    there = [other for other in around(place) if other.key != proxy.key]
    return Sharing(
        str(place),
        tuple(sorted("/".join(other.key) for other in there)),
        tuple(sorted("/".join(other.key) for other in there if _gives_way(proxy, other))),
    )


def _gives_way(proxy: AthensProxy, other: AthensProxy) -> bool:
    agreed = proxy.spec.storage.allow_sharing and other.spec.storage.allow_sharing
    return other.namespace != proxy.namespace and not agreed and _age(other) < _age(proxy)


def _age(proxy: AthensProxy) -> tuple[str, tuple[str, str]]:
    """Names break ties, so that always one of two gives way."""
    return proxy.identity.created, proxy.key


def _head(place: Place) -> str:
    return place.prefix[0] if place.prefix else WHOLE
