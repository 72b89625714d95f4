"""Which proxies keep their modules in one place, and who has to give way. Pure.

Athens has no key prefix of its own, so two proxies on one bucket serve each other's private modules. Within a namespace
that is the team's affair and only reported; across namespaces the younger one does not start before both have agreed.
What stands in a Secret, such as a connection string, is not compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from athens_operator.spec import AthensProxy


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


def sharing_of(proxy: AthensProxy, all_proxies: Callable[[], Iterable[AthensProxy]]) -> Sharing:
    """Who shares the store of a proxy.

    Args:
        proxy: whose store.
        all_proxies: all that are known, this one included; asked only where the store can be shared.
    """
    place = proxy.place
    if place is None:
        return UNSHARED
    there = [
        other
        for other in all_proxies()
        if other.place is not None and place.collides_with(other.place) and other.key != proxy.key
    ]
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
