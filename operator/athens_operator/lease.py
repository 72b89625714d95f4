"""One writer at a time: leader election over a `coordination.k8s.io` Lease, as client-go does it.

A standby watches and keeps its cache warm; only the holder works. Clocks are never compared: a standby waits until the
Lease has not changed for its whole duration on the standby's own clock.

Source: https://pkg.go.dev/k8s.io/client-go/tools/leaderelection
"""

from __future__ import annotations

import asyncio
import logging
import random
from datetime import UTC, datetime
from typing import Any

from athens_operator.cluster import Cluster, Conflict, NotFound
from athens_operator.errors import ClusterError, OperatorError
from athens_operator.manifests import Manifest
from athens_operator.resources import LEASES

logger = logging.getLogger(__name__)

DURATION_S = 15
RENEW_DEADLINE_S = 10.0
RETRY_S = 2.0
MANAGER = "athens-operator-lease"


class LeaseLost(OperatorError):
    """Another process may write now; this one has to stop at once."""


class Lease:
    """The right to write.

    Args:
        cluster: where the Lease lives.
        namespace: of the Lease.
        name: of the Lease.
        identity: ours, unique among the replicas.
    """

    def __init__(self, cluster: Cluster, *, namespace: str, name: str, identity: str) -> None:
        self._cluster = cluster
        self._ref = LEASES.ref(namespace, name)
        self._identity = identity
        self._seen: tuple[str, str] | None = None  # holder and resource version at the last look
        self._seen_at = 0.0
        self._held = False
        self._written: Manifest = {}  # the Lease as we wrote it last

    @property
    def held(self) -> bool:
        """Whether this process is the one that writes."""
        return self._held

    async def acquire(self) -> None:
        """Wait until the Lease is ours; API outages and missing rights only delay that."""
        complained = ""
        while True:
            try:
                if await self._try_to_take():
                    self._held = True
                    logger.info("holding %s as %s", self._ref, self._identity)
                    return
            except ClusterError as error:
                if str(error) != complained:
                    complained = str(error)
                    logger.warning("cannot take the Lease, trying again: %s", error)
            await asyncio.sleep(RETRY_S * random.uniform(0.8, 1.2))  # noqa: S311 (jitter, not a secret)

    async def keep(self) -> None:
        """Renew until cancelled.

        Raises:
            LeaseLost: somebody else took it, or it could not be renewed in time.
        """
        loop = asyncio.get_running_loop()
        renewed_at = loop.time()
        while True:
            await asyncio.sleep(RETRY_S)
            try:
                async with asyncio.timeout(RENEW_DEADLINE_S):
                    renewed = await self._renew()
            except (ClusterError, TimeoutError) as error:
                logger.warning("cannot renew the Lease: %s", str(error) or "no answer")
                renewed = None
            if renewed:
                renewed_at = loop.time()
            elif renewed is False or loop.time() - renewed_at > RENEW_DEADLINE_S:
                self._held = False
                raise LeaseLost(f"keep {self._ref}: held by another process, or not renewed for {RENEW_DEADLINE_S} s")

    async def release(self) -> None:
        """Give it up, so that a standby need not wait for it to run out; failing to is harmless."""
        if not self._held:
            return
        self._held = False
        try:
            live = await self._cluster.get(self._ref)
            if live["spec"].get("holderIdentity") == self._identity:
                await self._write(live, holder="", duration_s=1)
        except ClusterError as error:
            logger.warning("cannot release the Lease, a standby waits for it to run out: %s", error)

    async def _renew(self) -> bool:
        """Renew what we wrote last without reading it, which fails if anybody has touched it since; then look."""
        try:
            await self._write(self._written, holder=self._identity, duration_s=DURATION_S)
        except (Conflict, NotFound):
            return await self._try_to_take()
        return True

    async def _try_to_take(self) -> bool:
        """Take or renew; False when somebody else holds it."""
        try:
            live = await self._cluster.get(self._ref)
        except NotFound:
            return await self._create()
        if not self._may_take(live):
            return False
        try:
            await self._write(live, holder=self._identity, duration_s=DURATION_S)
        except Conflict:
            return False
        return True

    def _may_take(self, live: Manifest) -> bool:
        spec: dict[str, Any] = live.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        now = asyncio.get_running_loop().time()
        seen = (holder, str(live["metadata"].get("resourceVersion")))
        if seen != self._seen:
            self._seen, self._seen_at = seen, now
        return holder in ("", self._identity) or now - self._seen_at > float(
            spec.get("leaseDurationSeconds") or DURATION_S
        )

    async def _create(self) -> bool:
        now = _micro_time()
        spec = _spec(self._identity, DURATION_S, acquired=now, renewed=now, transitions=0)
        try:
            self._written = await self._cluster.create({**self._manifest(), "spec": spec}, manager=MANAGER)
        except Conflict:
            return False
        return True

    async def _write(self, live: Manifest, *, holder: str, duration_s: int) -> None:
        now = _micro_time()
        old = live.get("spec") or {}
        same = old.get("holderIdentity") == holder
        spec = _spec(
            holder,
            duration_s,
            acquired=old.get("acquireTime", now) if same else now,
            renewed=now,
            transitions=int(old.get("leaseTransitions") or 0) + (0 if same else 1),
        )
        body = {**self._manifest(resource_version=live["metadata"]["resourceVersion"]), "spec": spec}
        self._written = await self._cluster.apply(body, manager=MANAGER)

    def _manifest(self, *, resource_version: str = "") -> Manifest:
        metadata = {"namespace": self._ref.namespace, "name": self._ref.name}
        if resource_version:  # a lost race is a Conflict
            metadata["resourceVersion"] = resource_version
        return {"apiVersion": self._ref.api_version, "kind": self._ref.kind, "metadata": metadata}


def _spec(holder: str, duration_s: int, *, acquired: str, renewed: str, transitions: int) -> dict[str, Any]:
    return {
        "holderIdentity": holder,
        "leaseDurationSeconds": duration_s,
        "acquireTime": acquired,
        "renewTime": renewed,
        "leaseTransitions": transitions,
    }


def _micro_time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
