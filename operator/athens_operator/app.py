"""The operator put together: reads as the wiring diagram, holds no logic of its own objects' kinds.

Life: serve health, watch, list every kind once, take the Lease, work; until told to stop, or until the Lease is lost.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack

import aiohttp
from aiohttp import web

from athens_operator.anti_entropy import DOUBTED_AFTER_ROUNDS, AntiEntropy
from athens_operator.cache import Cache
from athens_operator.cluster import Cluster, Forbidden
from athens_operator.credential_states import CredentialStates
from athens_operator.echoes import Echoes
from athens_operator.errors import ClusterError
from athens_operator.fanout import Fanout
from athens_operator.health import Health, health_app, listen
from athens_operator.lease import Lease
from athens_operator.manifests import Manifest
from athens_operator.metrics import Metrics
from athens_operator.optional_kinds import OptionalKinds
from athens_operator.queue import WorkQueue
from athens_operator.readback import ANSWER_TIMEOUT_S, HttpPodReader, Listener
from athens_operator.resources import DISPENSABLE, POLICY_KINDS, PROXIES, Key, Resource, watched
from athens_operator.rights import missing_rights
from athens_operator.schema_age import require_schemas
from athens_operator.settings import Settings
from athens_operator.watch import EndlessBackoff, Login, Watch
from athens_operator.wiring import Surroundings, crew
from athens_operator.workers import Workers

logger = logging.getLogger(__name__)

FIRST_COMPARE_S = 20.0
OPTIONAL_KINDS_AS_OFTEN = 10
POLICIES_AS_OFTEN = 5  # a policy that was deleted unseen stays in force until the next list
FINISH_WITHIN_S = 10.0


class Operator:
    """One replica of the operator.

    Args:
        settings: what the administrator chose.
        cluster: the API server, for everything but watching.
        login: credentials for watching.
        metrics: shared with the cluster.
    """

    def __init__(self, settings: Settings, cluster: Cluster, login: Login, metrics: Metrics) -> None:
        self._settings = settings
        self._cluster = cluster
        self._metrics = metrics
        self._resources = watched(cluster_wide=settings.cluster_wide)
        self._cache = Cache()
        self._fanout = Fanout(self._cache)
        self._queue: WorkQueue[Key] = WorkQueue()
        self._echoes = Echoes(self._changed)
        self._listened = asyncio.Event()
        self._compare_now = asyncio.Event()
        self._refused: set[Resource] = set()
        self._lacking: set[str] = set()
        self._last_event: dict[str, float] = {}
        self._anti_entropy = AntiEntropy(
            cluster, self._cache, namespaces=settings.watch_namespaces, changed=self._changed, metrics=metrics
        )
        self._optional = OptionalKinds(
            cluster,
            self._cache,
            namespaces=settings.watch_namespaces,
            changed=self._changed,
            appeared=self._queue_proxies,
        )
        self._health = Health(
            queue_age_s=self._queue.oldest_s, blind_kinds=self._anti_entropy.blind_kinds, metrics=metrics
        )
        self._health.unlisted = {resource.plural for resource in self._resources}
        self._lease = Lease(cluster, namespace=settings.namespace, name=settings.lease_name, identity=settings.identity)
        self._watch = Watch(
            self._resources,
            namespaces=settings.watch_namespaces,
            login=login,
            silence_s=settings.watch_silence_s,
            deliver=self._deliver,
            restarted=self._compare_now.set,
        )
        self._listener: Listener | None = None
        self.health_port = settings.health_port

    async def run(self, stop: asyncio.Event) -> None:
        """Live until `stop` is set.

        Raises:
            LeaseLost: another replica may write now; the process has to end.
            SchemaTooOld: the CustomResourceDefinitions are older than this operator.
        """
        async with AsyncExitStack() as stack:
            await self._serve_health(stack)
            timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
            connector = aiohttp.TCPConnector(ssl=False, limit=64, force_close=True)
            session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout, connector=connector))
            self._listener = Listener(HttpPodReader(session))
            workers = crew(self._around(), self._listener, CredentialStates(session))
            try:
                looking = self._optional.watch(self._settings.compare_every_s / OPTIONAL_KINDS_AS_OFTEN)
                parts = (self._health.tick(), self._watch.run(), self._learn(), looking, self._lead(workers))
                await _until(stop, *parts)
            finally:
                await workers.finish(FINISH_WITHIN_S if self._lease.held else 0.0)
                await self._lease.release()

    def _around(self) -> Surroundings:
        return Surroundings(
            self._settings,
            self._cluster,
            self._cache,
            self._fanout,
            self._queue,
            self._echoes,
            self._metrics,
            self._refused,
            self._optional.served,
            self._lacking,
        )

    async def _learn(self) -> None:
        """List every kind once, then compare with the cluster now and then."""
        await asyncio.gather(self._optional.look(), *map(self._seed, self._resources))
        await require_schemas(self._cluster, cluster_wide=self._settings.cluster_wide)
        await self._ask_for_rights()
        self._listened.set()
        logger.info("every kind is listed: %s", ", ".join(resource.plural for resource in self._resources))
        every_s = self._settings.compare_every_s / POLICIES_AS_OFTEN
        delay_s = min(FIRST_COMPARE_S, every_s)
        for number in itertools.count():
            await _wait_for(self._compare_now, delay_s * random.uniform(0.8, 1.2))  # noqa: S311 (jitter)
            delay_s = every_s
            everything = number % POLICIES_AS_OFTEN == 0 or self._compare_now.is_set()
            self._compare_now.clear()
            compared = [kind for kind in self._resources if everything or kind in POLICY_KINDS]
            await asyncio.gather(*map(self._compare, compared))
            if self._anti_entropy.blind_kinds(DOUBTED_AFTER_ROUNDS):
                self._watch.begin_anew()
            if everything:
                await self._ask_for_rights()

    async def _ask_for_rights(self) -> None:
        """Find out which rights are missing, and say so once."""
        try:
            lacking = set(await missing_rights(self._cluster, self._settings, known=self._refused))
        except ClusterError as error:
            logger.warning("cannot ask which rights the operator has: %s", error)
            return
        for right in sorted(lacking - self._lacking):
            logger.error("the operator's role lacks %s; what needs it does not work, install the shipped roles", right)
        if lacking != self._lacking:
            self._lacking.clear()
            self._lacking.update(lacking)
            self._queue_proxies()  # their status names what is missing

    async def _compare(self, resource: Resource) -> None:
        try:
            await self._anti_entropy.compare(resource)
        except ClusterError as error:
            logger.warning("cannot compare the cache: %s", error)
        else:
            if resource in self._refused:
                self._refused.discard(resource)
                self._queue_proxies()

    async def _seed(self, resource: Resource) -> None:
        said = ""
        for delay_s in EndlessBackoff():
            try:
                await self._anti_entropy.seed(resource)
            except ClusterError as error:
                if isinstance(error, Forbidden) and resource in DISPENSABLE:
                    logger.error("%s; going on without it, the operator's role lacks %s", error, DISPENSABLE[resource])
                    self._refused.add(resource)
                    break
                said = self._complain(error, said)
                await asyncio.sleep(delay_s)
            else:
                break
        self._health.unlisted.discard(resource.plural)

    @staticmethod
    def _complain(error: ClusterError, said: str) -> str:
        """Log an error unless it was the last one logged; what was logged last."""
        if said != str(error):
            logger.error("%s; check that its CustomResourceDefinition and the operator's role exist", error)
        return str(error)

    async def _lead(self, workers: Workers) -> None:
        """Once everything is known, wait for the Lease and work while it is ours."""
        await self._listened.wait()
        await self._lease.acquire()
        self._metrics.leader.set(1)
        for resource in (PROXIES, *POLICY_KINDS):
            for key in self._cache.keys_of(resource):
                self._queue.add(key)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(workers.run())
                both.create_task(self._lease.keep())
        finally:
            self._metrics.leader.set(0)

    def _deliver(self, kind: str, event_type: str | None, body: Manifest) -> None:
        """An event of a watch: level-triggered, so only what changed in the cache counts."""
        self._last_event[kind] = asyncio.get_running_loop().time()
        if event_type == "DELETED":
            before = self._cache.remove(body)
            if before is not None:
                self._changed(before, None)
            return
        news, before = self._cache.put(body)
        if news:
            self._echoes.told(before, body)

    def _changed(self, before: Manifest | None, after: Manifest | None) -> None:
        if after is None and before is not None and before["kind"] == "Pod" and self._listener is not None:
            self._listener.forget(before["metadata"]["uid"])
        if self._lease.held:
            for key in self._fanout.concerned(before, after):
                self._queue.add(key)

    def _queue_proxies(self) -> None:
        if self._lease.held:
            for key in self._cache.keys_of(PROXIES):
                self._queue.add(key)

    async def _serve_health(self, stack: AsyncExitStack) -> None:
        runner = web.AppRunner(health_app(self._health, self._metrics, self._refresh), access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        self.health_port = await listen(runner, self._settings.health_port)
        logger.info("health is served on port %d", self.health_port)

    def _refresh(self) -> None:
        """Bring the gauges up to date that nobody pushes."""
        now = asyncio.get_running_loop().time()
        self._metrics.queue_depth.set(self._queue.depth)
        self._metrics.queue_oldest_s.set(self._queue.oldest_s())
        for kind, at in self._last_event.items():
            self._metrics.watch_last_event_s.labels(kind=kind).set(now - at)
        self._count_proxies(self._cache.all_of(PROXIES))

    def _count_proxies(self, proxies: Sequence[Manifest]) -> None:
        metrics = self._metrics
        for gauge in (metrics.proxies, metrics.proxy_ready, metrics.conflicts):
            gauge.clear()
        phases: Counter[str] = Counter()
        conflicts: Counter[str] = Counter()
        for body in proxies:
            status, metadata = body.get("status") or {}, body["metadata"]
            phases[status.get("phase") or "Pending"] += 1
            conflicts.update(found["class"] for found in (status.get("policy") or {}).get("conflicts") or ())
            conditions = status.get("conditions") or ()
            ready = any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)
            metrics.proxy_ready.labels(namespace=metadata["namespace"], name=metadata["name"]).set(ready)
        for phase, count in phases.items():
            metrics.proxies.labels(phase=phase).set(count)
        for kind, count in conflicts.items():
            metrics.conflicts.labels(kind).set(count)


async def _until(stop: asyncio.Event, *parts: Awaitable[None]) -> None:
    """Run all parts until `stop` is set or one of them fails; then end the others and raise what failed."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (*tasks, stopped):
            task.cancel()
        results = await asyncio.gather(*tasks, stopped, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result.exceptions[0] if isinstance(result, ExceptionGroup) else result


async def _wait_for(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
