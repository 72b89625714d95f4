"""Finds what a watch lost: lists identities now and then and compares them with the cache.

A watch that was cut off lists again but never says what vanished meanwhile, so a deleted policy would stay in force
for ever. Every difference is confirmed by reading that one object before it counts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from athens_operator.cache import Cache, uid_of, version_of
from athens_operator.cluster import Cluster, NotFound
from athens_operator.errors import ClusterError
from athens_operator.manifests import PROXY_LABEL, Manifest, Ref, ref_of
from athens_operator.metrics import Metrics
from athens_operator.resources import Resource

logger = logging.getLogger(__name__)

GRACE_S = 3.0  # events of a healthy watch arrive well within this
DOUBTED_AFTER_ROUNDS, BLIND_AFTER_ROUNDS = 2, 4

Changed = Callable[[Manifest | None, Manifest | None], None]


class AntiEntropy:
    """Keeps the cache equal to the cluster, whatever the watches do.

    Args:
        cluster: who to ask.
        cache: what is known.
        namespaces: the namespaces served; empty for all.
        changed: told about every difference, as (before, after).
        metrics: counts the differences by kind.
    """

    def __init__(
        self, cluster: Cluster, cache: Cache, *, namespaces: Sequence[str], changed: Changed, metrics: Metrics
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._namespaces = namespaces
        self._changed = changed
        self._metrics = metrics
        self._rounds_with_finds: dict[str, int] = {}
        self._one_list = asyncio.Lock()  # several at once would only take memory

    async def seed(self, resource: Resource) -> None:
        """Fill the cache with all objects of a kind, in full."""
        for body in await self._list(resource, metadata_only=False):
            self._learn(body)

    async def compare(self, resource: Resource) -> int:
        """Correct the cache for one kind; how many objects the watch had missed."""
        async with self._one_list:
            doubtful = await self._doubtful(resource)
        if doubtful:
            await asyncio.sleep(GRACE_S)
        found = 0
        for ref in sorted(doubtful):
            if _is_behind(self._cache.get(ref), doubtful[ref]):
                found += await self._confirm(ref, resource)
        if found:
            logger.warning("the watch of %s had missed %d changes, which are known now", resource.plural, found)
            self._metrics.anti_entropy.labels(kind=resource.kind).inc(found)
        self._rounds_with_finds[resource.kind] = self._rounds_with_finds.get(resource.kind, 0) + 1 if found else 0
        return found

    async def _doubtful(self, resource: Resource) -> dict[Ref, Manifest | None]:
        """What is listed otherwise than it is known, with the listed version; None where it is not listed."""
        there, here = await self._list(resource, metadata_only=True), self._cache.all_of(resource)
        if _identities(there) == _identities(here):  # nearly always
            return {}
        listed, known = ({ref_of(body): body for body in bodies} for bodies in (there, here))
        return {ref: listed.get(ref) for ref in listed.keys() | known.keys() if _differ(listed, known, ref)}

    def blind_kinds(self, rounds: int = BLIND_AFTER_ROUNDS) -> list[str]:
        """Kinds whose watch missed changes in so many rounds in a row: the stream is dead and does not know it."""
        return sorted(kind for kind, found_in in self._rounds_with_finds.items() if found_in >= rounds)

    async def _confirm(self, ref: Ref, resource: Resource) -> bool:
        try:
            live = await self._cluster.get(ref)
        except NotFound:
            return self._unlearn(ref)
        except ClusterError as error:
            logger.warning("cannot confirm %s: %s", ref, error)
            return False
        if resource.labelled and PROXY_LABEL not in (live["metadata"].get("labels") or {}):
            return self._unlearn(ref)
        return self._learn(live)

    def _unlearn(self, ref: Ref) -> bool:
        before = self._cache.get(ref)
        if before is None:
            return False
        self._cache.remove(before)
        self._changed(before, None)
        return True

    def _learn(self, body: Manifest) -> bool:
        news, before = self._cache.put(body)
        if news:
            self._changed(before, body)
        return news

    async def _list(self, resource: Resource, *, metadata_only: bool) -> list[Manifest]:
        return await self._cluster.list_all(
            resource,
            namespaces=self._namespaces if resource.namespaced else (),
            label=PROXY_LABEL if resource.labelled else "",
            metadata_only=metadata_only,
        )


def _identities(bodies: Iterable[Manifest]) -> dict[str, str]:
    return {body["metadata"]["uid"]: body["metadata"]["resourceVersion"] for body in bodies}


def _differ(listed: Mapping[Ref, Manifest], known: Mapping[Ref, Manifest], ref: Ref) -> bool:
    pair = (listed.get(ref), known.get(ref))
    return len({None if body is None else (uid_of(body), version_of(body)) for body in pair}) > 1


def _is_behind(known: Manifest | None, listed: Manifest | None) -> bool:
    """Whether the cache still has not reached what was listed a while ago."""
    if listed is None:
        return known is not None
    return known is None or version_of(known) < version_of(listed)
