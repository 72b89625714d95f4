"""Locks in Redis: one server, a cluster, or the master that sentinels name.

Acquiring and releasing are Athens' own (`SET key token NX PX ttl`, compare and delete), so both can share a Redis.
Ours is a lease of seconds that is renewed, where Athens keeps a dead pod's lock for fifteen minutes.
Source: github.com/bsm/redislock
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    MovedError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from athens_proxy.stash.lock import LEASE_S, HeldBy, Lease, LockRefused, LockUnavailable
from athens_proxy.stash.redis_cluster import Node, RedisClusterNodes
from athens_proxy.stash.redis_endpoints import RedisEndpoint

TIMEOUT_S: Final = 2.0
_TOKEN_BYTES: Final = 16  # as redislock
# An answer that is our own token means that an earlier attempt took the lock and its answer was lost.
_ACQUIRE: Final = """
if redis.call('set', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return ARGV[1] end
return redis.call('get', KEYS[1])
"""
_RENEW: Final = """
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end
return 0
"""
_RELEASE: Final = """
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end
return 0
"""
_REFUSALS: Final = (AuthenticationError, AuthorizationError, NoPermissionError)
Client = Redis | RedisClusterNodes


class RedisLocks:
    """`Locks` over a client of redis-py.

    Args:
        client: one server, a cluster, or the master of a sentinel.
        name: for messages.
        lease_s: see `Locks.lease_s`.
        guides: clients that only find the server; closed with it.
    """

    def __init__(self, client: Client, *, name: str, lease_s: float = LEASE_S, guides: Sequence[Redis] = ()) -> None:
        self._client = client
        self._guides = guides
        self._name = name
        self._lease_s = lease_s

    @property
    def name(self) -> str:
        """The service; see `Locks.name`."""
        return self._name

    @property
    def lease_s(self) -> float:
        """See `Locks.lease_s`."""
        return self._lease_s

    async def check(self) -> None:
        """A script that touches no key: it needs a connection, the password, and a server that takes scripts."""
        await self._run("return 1", "athens-proxy@check", "")

    async def acquire(self, key: str) -> Lease | HeldBy:
        """Take the lock if it is free; see `Locks.acquire`."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        holder = _text(await self._run(_ACQUIRE, key, token, self._lease_ms))
        return Lease(key, token) if holder == token else HeldBy(holder)

    async def renew(self, lease: Lease) -> bool:
        """Prolong it; see `Locks.renew`."""
        return bool(await self._run(_RENEW, lease.key, lease.proof, self._lease_ms))

    async def release(self, lease: Lease) -> None:
        """Give it back; see `Locks.release`."""
        await self._run(_RELEASE, lease.key, lease.proof)

    async def close(self) -> None:
        """Close the connections."""
        for client in (self._client, *self._guides):
            await client.aclose()

    @property
    def _lease_ms(self) -> str:
        return str(int(self._lease_s * 1000))

    async def _run(self, script: str, key: str, *arguments: str) -> Any:
        try:
            async with asyncio.timeout(2 * TIMEOUT_S):  # some ask several servers, one after the other
                return await self._client.eval(script, 1, key, *arguments)
        except _REFUSALS as error:
            raise LockRefused(f"{self._name}: {_reason(error)}; check user and password") from error
        except MovedError as error:
            raise LockRefused(f"{self._name} is part of a cluster; set SingleFlight.Redis.Cluster") from error
        except ResponseError as error:  # loading, read-only, out of memory: it passes
            raise LockUnavailable(f"{self._name}: {_reason(error)}") from error
        except TimeoutError as error:
            raise LockUnavailable(f"{self._name} does not answer within {2 * TIMEOUT_S:.0f} s") from error
        except (RedisError, OSError, RuntimeError) as error:
            # RuntimeError is uvloop's word for a connection that was closed under the client; redis-py lets it pass.
            raise LockUnavailable(f"{self._name} does not answer: {_reason(error)}") from error


def redis_locks(endpoint: RedisEndpoint, *, lease_s: float = LEASE_S) -> RedisLocks:
    """Locks in one server."""
    client = _client(endpoint, endpoint.nodes[0])
    return RedisLocks(client, name=f"redis {endpoint}", lease_s=lease_s)


def redis_cluster_locks(endpoint: RedisEndpoint, *, lease_s: float = LEASE_S) -> RedisLocks:
    """Locks in a cluster, found through any of the named nodes."""
    nodes = RedisClusterNodes(endpoint.nodes, partial(_client, endpoint))
    return RedisLocks(nodes, name=f"redis cluster {endpoint}", lease_s=lease_s)


def redis_sentinel_locks(
    sentinels: Sequence[tuple[str, int]],
    *,
    master: str,
    sentinel_password: str,
    endpoint: RedisEndpoint,
    lease_s: float = LEASE_S,
) -> RedisLocks:
    """Locks in the master that the sentinels name; a failover is followed.

    Args:
        sentinels: host and port of each.
        master: the name under which they watch it.
        sentinel_password: of the sentinels themselves, "" for none.
        endpoint: user, password and database of the master; its nodes are not used.
        lease_s: see `Locks.lease_s`.
    """
    own = {"password": sentinel_password} if sentinel_password else {}
    watchers = Sentinel(  # type: ignore[no-untyped-call]
        list(sentinels), sentinel_kwargs={**_connection(), **own}
    )
    client = watchers.master_for(master, db=endpoint.db, **_options(endpoint))
    where = ",".join(f"{host}:{port}" for host, port in sentinels)
    name = f"redis master {master} of sentinel {where}"
    return RedisLocks(client, name=name, lease_s=lease_s, guides=watchers.sentinels)


def _client(endpoint: RedisEndpoint, node: Node) -> Redis:
    host, port = node
    return Redis(host=host, port=port, db=endpoint.db, **_options(endpoint))


def _options(endpoint: RedisEndpoint) -> dict[str, Any]:
    options: dict[str, Any] = {
        **_connection(),
        "username": endpoint.username or None,
        "password": endpoint.password or None,
    }
    return {**options, "ssl": True} if endpoint.is_tls else options


def _connection() -> dict[str, Any]:
    return {
        "socket_timeout": TIMEOUT_S,
        "socket_connect_timeout": TIMEOUT_S,
        "retry": Retry(NoBackoff(), 1),  # a restarted server is known by its dead connections
        "protocol": 2,  # no greeting that needs a password before it can say that one is needed
    }


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:256] or type(error).__name__
