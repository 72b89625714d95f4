"""Every kind of lock service, by name: how a test, or another process of it, opens locks on a running server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from athens_proxy.stash import redis_endpoints
from athens_proxy.stash.etcd_lock import EtcdLocks
from athens_proxy.stash.lock import Lease, Locks
from athens_proxy.stash.object_lock import ObjectLocks
from athens_proxy.stash.redis_lock import redis_cluster_locks, redis_locks, redis_sentinel_locks
from support.object_stores import object_client

BUCKETS = {"gcp": "gcs", "azureblob": "azureblob"}
MASTER = "athens-master"
REDIS_PASSWORD = "of-redis"
SENTINEL_PASSWORD = "of-sentinel"


@asynccontextmanager
async def opened(kind: str, endpoint: str, *, lease_s: float, password: str = REDIS_PASSWORD) -> AsyncIterator[Locks]:
    """Locks of a kind on the server at an endpoint (of a bucket: `URL#BUCKET`), closed with the context."""
    if kind in BUCKETS:
        url, _, bucket = endpoint.partition("#")
        client = await object_client(BUCKETS[kind], url, bucket)
        try:
            yield ObjectLocks(client, lambda name: f".athens/{name}", lease_s=lease_s)
        finally:
            await client.close()
        return
    async with aiohttp.ClientSession() as session:
        locks = _locks(kind, endpoint, lease_s=lease_s, password=password, session=session)
        try:
            yield locks
        finally:
            await locks.close()


def _locks(kind: str, endpoint: str, *, lease_s: float, password: str, session: aiohttp.ClientSession) -> Locks:
    match kind:
        case "redis":
            return redis_locks(redis_endpoints.single(endpoint, password), lease_s=lease_s)
        case "redis-cluster":
            return redis_cluster_locks(redis_endpoints.cluster(endpoint, ""), lease_s=lease_s)
        case "redis-sentinel":
            return redis_sentinel_locks(
                redis_endpoints.sentinels([endpoint]),
                master=MASTER,
                sentinel_password=SENTINEL_PASSWORD,
                endpoint=redis_endpoints.RedisEndpoint((), password=password),
                lease_s=lease_s,
            )
        case "etcd":
            return EtcdLocks(session, endpoint.split(","), lease_s=lease_s)
        case _:
            raise AssertionError(f"no lock service is called {kind}")


async def hold_for_ever(kind: str, endpoint: str, key: str, lease_s: float) -> None:
    """Take a lock, say so, renew it until killed."""
    async with opened(kind, endpoint, lease_s=lease_s) as locks:
        lease = await locks.acquire(key)
        assert isinstance(lease, Lease), f"{key} is held by somebody else"
        print("held", flush=True)
        for _ in iter(int, 1):
            assert await locks.renew(lease)
            await asyncio.sleep(lease_s / 3)


if __name__ == "__main__":
    asyncio.run(hold_for_ever(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])))
