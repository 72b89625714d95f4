"""Which kinds the cluster serves that it need not have, found out again and again; and what of them is ours.

Such a kind may appear at any time and vanish again, which ends a watch in ways that cost more than these few objects
are worth. So they are listed: one request tells whether the kind is served, whether we may use it, and what is there.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence

from athens_operator.cache import Cache
from athens_operator.cluster import Cluster, Forbidden, NotFound
from athens_operator.errors import ClusterError
from athens_operator.manifests import PROXY_LABEL, Manifest, ref_of
from athens_operator.resources import OPTIONAL_CHILDREN, Resource

logger = logging.getLogger(__name__)

Changed = Callable[[Manifest | None, Manifest | None], None]


class OptionalKinds:
    """Keeps the cache up to date for kinds that may be absent.

    Args:
        cluster: who to ask.
        cache: what is known.
        namespaces: the namespaces served; empty for all.
        changed: told about every difference, as (before, after).
        appeared: told when a kind has become usable, since proxies may have waited for it.
    """

    def __init__(
        self,
        cluster: Cluster,
        cache: Cache,
        *,
        namespaces: Sequence[str],
        changed: Changed,
        appeared: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._namespaces = namespaces
        self._changed = changed
        self._appeared = appeared
        self._refused: set[Resource] = set()
        self.served: set[Resource] = set()

    async def watch(self, every_s: float) -> None:
        """Look again and again until cancelled."""
        while True:
            await asyncio.sleep(every_s * random.uniform(0.8, 1.2))  # noqa: S311 (jitter, not a secret)
            await self.look()

    async def look(self) -> None:
        """List every optional kind once."""
        for resource in OPTIONAL_CHILDREN:
            try:
                await self._list(resource)
            except NotFound:
                self._lose(resource)
            except Forbidden as error:
                if resource not in self._refused:
                    self._refused.add(resource)
                    logger.warning("%s; going on without it", error)
            except ClusterError as error:
                logger.warning("cannot look for %s, what is known of them stays: %s", resource.plural, error)

    async def _list(self, resource: Resource) -> None:
        listed = await self._cluster.list_all(resource, namespaces=self._namespaces, label=PROXY_LABEL)
        for body in listed:
            news, before = self._cache.put(body)
            if news:
                self._changed(before, body)
        there = {ref_of(body) for body in listed}
        for body in self._cache.all_of(resource):
            if ref_of(body) not in there:
                await self._confirm_gone(body)
        self._refused.discard(resource)
        if resource not in self.served:
            self.served.add(resource)
            logger.info("%s are served", resource.plural)
            self._appeared()

    async def _confirm_gone(self, body: Manifest) -> None:
        """We may have made it after the list was answered."""
        try:
            await self._cluster.get(ref_of(body))
        except NotFound:
            self._cache.remove(body)
            self._changed(body, None)

    def _lose(self, resource: Resource) -> None:
        """The kind is not served; its objects went with it."""
        if resource in self.served:
            self.served.discard(resource)
            logger.warning("%s are no longer served", resource.plural)
        for body in self._cache.all_of(resource):
            self._cache.remove(body)
            self._changed(body, None)
