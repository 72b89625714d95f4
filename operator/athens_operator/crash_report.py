"""Tells the owner of an object, through its status, that the operator itself failed at it."""

from __future__ import annotations

from datetime import UTC, datetime

from athens_operator.cache import Cache
from athens_operator.publish import Publisher
from athens_operator.resources import POLICY_KINDS, PROXIES, Key
from athens_operator.spec import Identity
from athens_operator.status import status_of_crash

KINDS = {resource.kind: resource for resource in (PROXIES, *POLICY_KINDS)}


class CrashReport:
    """Writes the status of objects at which a pass failed in an unexpected way.

    Args:
        cache: the objects.
        publisher: writes the status, once for as long as the failure stays.
    """

    def __init__(self, cache: Cache, publisher: Publisher) -> None:
        self._cache = cache
        self._publisher = publisher

    async def tell(self, key: Key) -> None:
        """Say so in the object's status; raises `ClusterError` when that cannot be written either."""
        body = self._cache.get(KINDS[key.kind].ref(key.namespace, key.name))
        if body is not None and not body["metadata"].get("deletionTimestamp"):
            await self._publisher.publish(body, status_of_crash(Identity.of(body), datetime.now(UTC)))
