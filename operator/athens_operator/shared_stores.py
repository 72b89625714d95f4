"""Which proxies keep their modules in one place, and who has to give way. Pure.

Athens has no key prefix of its own, so two proxies on one bucket serve each other's private modules. Within a namespace
that is the team's affair and only reported; across namespaces the younger one does not start before both have agreed.
What stands in a Secret, such as a connection string, is not compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from athens_operator.spec import AthensProxy
from athens_operator.spec.storage import S3, Storage

AWS = "aws"  # where bucket names are unique by themselves


@dataclass(frozen=True, slots=True)
class Place:
    """Where modules are kept, as far as a spec tells.

    Args:
        service: backend and address.
        container: bucket or container.
        prefix: its elements; a place holds every place below it.
    """

    service: tuple[str, str]
    container: str
    prefix: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "/".join([self.container or self.service[1], *self.prefix])

    def collides_with(self, other: Place) -> bool:
        """Whether one holds the other."""
        shorter = min(len(self.prefix), len(other.prefix))
        return (self.service, self.container, self.prefix[:shorter]) == (
            other.service,
            other.container,
            other.prefix[:shorter],
        )


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


def place_of(storage: Storage) -> Place | None:
    """The place of a store outside the namespace, or None where there is none or only a Secret names it."""
    if storage.s3:
        return Place(("s3", _address(storage.s3)), storage.s3.bucket, _elements(storage.s3.prefix))
    if storage.minio:
        return Place(("s3", storage.minio.endpoint.lower()), storage.minio.bucket, _elements(storage.minio.prefix))
    if storage.gcs:
        return Place(("gcs", ""), storage.gcs.bucket, _elements(storage.gcs.prefix))
    if storage.azure_blob:
        azure = storage.azure_blob
        return Place(("azureBlob", azure.account_name), azure.container_name, _elements(azure.prefix))
    if storage.external:
        return Place(("external", storage.external.url.rstrip("/")), "")
    return None


def sharing_of(proxy: AthensProxy, all_proxies: Callable[[], Iterable[AthensProxy]]) -> Sharing:
    """Who shares the store of a proxy.

    Args:
        proxy: whose store.
        all_proxies: all that are known, this one included; asked only where the store can be shared.
    """
    place = place_of(proxy.spec.storage)
    if place is None:
        return UNSHARED
    there = [
        other
        for other in all_proxies()
        if other.key != proxy.key and (its := place_of(other.spec.storage)) and place.collides_with(its)
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


def _address(s3: S3) -> str:
    return s3.endpoint.partition("://")[2].rstrip("/").lower() or AWS


def _elements(prefix: str) -> tuple[str, ...]:
    return tuple(prefix.split("/")) if prefix else ()
