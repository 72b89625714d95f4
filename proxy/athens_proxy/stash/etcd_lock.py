"""Locks in etcd through its v3 JSON gateway, in the protocol of etcd's own mutex, which Athens uses.

A holder's key is `module@version/<lease id in hex>`; whose key below that prefix was created first holds the lock.
Source: go.etcd.io/etcd/client/v3/concurrency mutex.go; https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/
"""

from __future__ import annotations

import asyncio
import base64
import math
from collections.abc import Sequence
from typing import Any, Final

import aiohttp

from athens_proxy.stash.lock import LEASE_S, HeldBy, Lease, LockRefused, LockUnavailable

TIMEOUT_S: Final = 2.0


class EtcdLocks:
    """`Locks` in an etcd cluster.

    Args:
        session: makes the requests; it stays the caller's.
        endpoints: `host:port` or URLs of the members; the first that answers is used until it fails.
        lease_s: see `Locks.lease_s`; etcd counts in whole seconds.
    """

    def __init__(self, session: aiohttp.ClientSession, endpoints: Sequence[str], *, lease_s: float = LEASE_S) -> None:
        self._session = session
        self._urls = [_url(endpoint) for endpoint in endpoints]
        self._first = 0
        self._lease_s = math.ceil(lease_s)

    @property
    def name(self) -> str:
        """The service; see `Locks.name`."""
        return f"etcd {','.join(url.partition('://')[2] for url in self._urls)}"

    @property
    def lease_s(self) -> float:
        """See `Locks.lease_s`."""
        return self._lease_s

    async def check(self) -> None:
        """Read a key; it needs a member that knows a leader."""
        await self._call("kv/range", {"key": _encoded("athens-proxy@check")})

    async def acquire(self, key: str) -> Lease | HeldBy:
        """Take the lock if it is free; see `Locks.acquire`."""
        if (holder := await self._holder(key)) is not None:
            return HeldBy(holder)
        lease = await self._call("lease/grant", {"TTL": str(self._lease_s)})
        lease_id = str(lease["ID"])
        mine = f"{_prefix(key)}{int(lease_id):x}"
        put = {"key": _encoded(mine), "value": "", "lease": lease_id}
        await self._call("kv/put", put)
        if (holder := await self._holder(key)) == mine:
            return Lease(key, lease_id)
        await self.release(Lease(key, lease_id))
        return HeldBy(holder or mine)

    async def renew(self, lease: Lease) -> bool:
        """Prolong it; see `Locks.renew`."""
        answer = await self._call("lease/keepalive", {"ID": lease.proof})
        return int(answer.get("result", {}).get("TTL", "0")) > 0

    async def release(self, lease: Lease) -> None:
        """Revoke the lease, which deletes its key; see `Locks.release`."""
        await self._call("lease/revoke", {"ID": lease.proof})

    async def close(self) -> None:
        """Nothing is kept open; the session is the caller's."""

    async def _holder(self, key: str) -> str | None:
        """The key that was created first below the lock's prefix."""
        prefix = _prefix(key)
        beyond = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        query = {
            "key": _encoded(prefix),
            "range_end": _encoded(beyond),
            "sort_target": "CREATE",
            "sort_order": "ASCEND",
            "limit": "1",
            "keys_only": True,
        }
        found = (await self._call("kv/range", query)).get("kvs", [])
        return base64.b64decode(found[0]["key"]).decode() if found else None

    async def _call(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """One call to the member that answered last, else to each of the others."""
        reason = "no endpoint is configured"
        for turn in range(len(self._urls)):
            at = (self._first + turn) % len(self._urls)
            try:
                answer = await self._ask(f"{self._urls[at]}/v3/{method}", body)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                reason = " ".join(str(error).split())[:256] or type(error).__name__
                continue
            self._first = at
            return answer
        raise LockUnavailable(f"{self.name} does not answer: {reason}")

    async def _ask(self, url: str, body: dict[str, Any]) -> dict[str, Any]:
        async with asyncio.timeout(TIMEOUT_S), self._session.post(url, json=body) as response:
            if response.status == 404 and url.endswith("/lease/revoke"):  # it has lapsed
                return {}
            answer: dict[str, Any] = await response.json(content_type=None)
            if response.status in (400, 401, 403):
                raise LockRefused(f"{self.name} refuses: {answer.get('error', response.reason)}")
            response.raise_for_status()
            return answer


def _prefix(key: str) -> str:
    return f"{key}/"


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _url(endpoint: str) -> str:
    return endpoint.rstrip("/") if "://" in endpoint else f"http://{endpoint}"
