"""A master behind sentinels dies: the replica that they promote takes over, and so do the locks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from athens_proxy.stash.lock import HeldBy, Lease, Locks, LockUnavailable
from support import redis_servers
from support.lock_services import MASTER, REDIS_PASSWORD, SENTINEL_PASSWORD, opened
from support.redis_servers import RedisServer

LEASE_S = 30.0
DEADLINE_S = 60.0
DOWN_AFTER_MS = 4_000
OPTIONS = ("--requirepass", REDIS_PASSWORD, "--masterauth", REDIS_PASSWORD, "--repl-diskless-sync-delay", "0")
AUTH = ("--no-auth-warning", "-a", REDIS_PASSWORD)
SENTINEL_AUTH = ("--no-auth-warning", "-a", SENTINEL_PASSWORD)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[RedisServer, RedisServer]]:
    """A master with one replica, and the sentinel that watches both."""
    with ExitStack() as stack:
        master = stack.enter_context(redis_servers.redis(tmp_path / "master", *OPTIONS))
        follow = ("--replicaof", "127.0.0.1", str(master.port))
        replica = stack.enter_context(redis_servers.redis(tmp_path / "replica", *follow, *OPTIONS))
        replica.process.wait_until(
            lambda: "master_link_status:up" in redis_servers.redis_cli(replica, *AUTH, "info", "replication"),
            what="a replica",
            deadline_s=DEADLINE_S,
        )
        watcher = redis_servers.sentinel(
            tmp_path / "sentinel",
            master,
            name=MASTER,
            password=SENTINEL_PASSWORD,
            auth=REDIS_PASSWORD,
            down_after_ms=DOWN_AFTER_MS,
        )
        sentinel = stack.enter_context(watcher)
        sentinel.process.wait_until(
            lambda: (
                str(replica.port) in redis_servers.redis_cli(sentinel, *SENTINEL_AUTH, "sentinel", "replicas", MASTER)
            ),
            what="aware of the replica",
            deadline_s=DEADLINE_S,
        )
        yield master, sentinel


async def lease_after_outage(locks: Locks, key: str) -> Lease:
    """A lock as soon as there is a master again."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                answer = await locks.acquire(key)
            except LockUnavailable:
                await asyncio.sleep(0.1)
                continue
            assert isinstance(answer, Lease)
            return answer


async def test_locks_go_on_with_the_promoted_replica(service: tuple[RedisServer, RedisServer]) -> None:
    master, sentinel = service
    async with (
        opened("redis-sentinel", sentinel.endpoint, lease_s=LEASE_S) as one,
        opened("redis-sentinel", sentinel.endpoint, lease_s=LEASE_S) as other,
    ):
        assert isinstance(await one.acquire("example.com/m@v1.0.0"), Lease)
        assert isinstance(await other.acquire("example.com/m@v1.0.0"), HeldBy)
        master.process.child.kill()
        master.process.child.wait()

        lease = await lease_after_outage(one, "example.com/m@v1.1.0")

        assert isinstance(await other.acquire("example.com/m@v1.1.0"), HeldBy)
        assert await one.renew(lease)
        await one.release(lease)
        assert isinstance(await other.acquire("example.com/m@v1.1.0"), Lease)
