"""The operator's engine in this process, without watches and Lease: list everything, pass until nothing is left to do.

Kills are exact here: the front refuses everything after the n-th write, and whatever the engine held in memory is
thrown away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import aiohttp

from athens_operator.anti_entropy import AntiEntropy
from athens_operator.cache import Cache
from athens_operator.connection import connect
from athens_operator.credential_states import CredentialStates
from athens_operator.fanout import Fanout
from athens_operator.kube import KubeCluster
from athens_operator.manifests import Manifest
from athens_operator.metrics import Metrics
from athens_operator.queue import WorkQueue
from athens_operator.readback import Listener, Target
from athens_operator.resources import POLICY_KINDS, PROXIES, Key, watched
from athens_operator.settings import Settings
from athens_operator.status_observed import Readback
from athens_operator.wiring import Surroundings, crew
from support.api_front import ApiFront
from support.fake_cluster import nobody_told


class _NoPods:
    """There is no kubelet, so nobody answers."""

    async def read(self, pod: Manifest, target: Target) -> Readback:
        return Readback("", "no kubelet")


async def run_until_at_rest(kubeconfig: Path, front: ApiFront, namespace: str) -> None:
    """One life of the operator: from its first list until it has nothing more to do, or until the front is dead."""
    metrics, cache, queue = Metrics(), Cache(), WorkQueue[Key](quiet_s=0.0)
    cluster = KubeCluster(await connect({"KUBECONFIG": str(kubeconfig)}), metrics, user_agent="engine-run")
    fanout = Fanout(cache)
    settings = Settings(watch_namespaces=(namespace,))
    around = Surroundings(settings, cluster, cache, fanout, queue, nobody_told(), metrics)
    life = AntiEntropy(cluster, cache, namespaces=(namespace,), changed=lambda before, after: None, metrics=metrics)
    session = aiohttp.ClientSession()
    workers = crew(around, Listener(_NoPods()), CredentialStates(session))
    working = asyncio.create_task(workers.run())
    try:
        for resource in watched(cluster_wide=False):
            await life.seed(resource)
        while not front.is_dead(namespace):
            done = front.written(namespace)
            for resource in (PROXIES, *POLICY_KINDS):
                for key in cache.keys_of(resource):
                    queue.add(key)
            await _until_idle(queue, lambda: front.is_dead(namespace))
            if front.written(namespace) == done:
                return
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
        await workers.finish(0.0)
        await cluster.close()
        await session.close()


async def _until_idle(queue: WorkQueue[Key], is_dead: Callable[[], bool]) -> None:
    """Wait until no key is ready or running; what was just added becomes ready in the next turn of the loop."""
    idle_looks = 0
    while idle_looks < 3 and not is_dead():
        await asyncio.sleep(0.005)
        idle_looks = 0 if queue.depth else idle_looks + 1
