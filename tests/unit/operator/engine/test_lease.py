"""Leader election between replicas that share nothing but the Lease, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from athens_operator.cluster import Unavailable
from athens_operator.lease import DURATION_S, Lease, LeaseLost
from athens_operator.resources import LEASES
from support.fake_cluster import FakeCluster
from support.virtual_time import in_virtual_time

REF = LEASES.ref("ops", "athens-operator")
MANIFEST = {
    "apiVersion": REF.api_version,
    "kind": REF.kind,
    "metadata": {"namespace": REF.namespace, "name": REF.name},
}


def lease(cluster: FakeCluster, identity: str) -> Lease:
    return Lease(cluster, namespace="ops", name="athens-operator", identity=identity)


def now() -> float:
    return asyncio.get_running_loop().time()


async def keep_for(held: Lease, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(held.keep(), seconds)


def test_the_first_replica_takes_the_lease_at_once() -> None:
    async def main() -> None:
        cluster = FakeCluster()
        first = lease(cluster, "one")

        await first.acquire()

        assert first.held
        assert cluster.objects[REF]["spec"]["holderIdentity"] == "one"

    in_virtual_time(main())


def test_a_standby_waits_as_long_as_the_holder_renews() -> None:
    async def main() -> None:
        cluster = FakeCluster()
        first, second = lease(cluster, "one"), lease(cluster, "two")
        await first.acquire()
        waiting = asyncio.create_task(second.acquire())

        await keep_for(first, 3600)

        assert not waiting.done()
        waiting.cancel()

    in_virtual_time(main())


@pytest.mark.parametrize("stamp", ["1970-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"])
def test_a_holder_whose_clock_is_wrong_keeps_the_lease_and_loses_it_in_time(stamp: str) -> None:
    """Replicas never compare their clocks: that the Lease changes is what counts."""

    async def main() -> None:
        cluster = FakeCluster()
        first, second = lease(cluster, "one"), lease(cluster, "two")
        await first.acquire()
        waiting = asyncio.create_task(second.acquire())
        for _ in range(60):
            await keep_for(first, 3)
            cluster.objects[REF]["spec"]["renewTime"] = stamp
        assert not waiting.done()

        await asyncio.wait_for(waiting, DURATION_S + 5)
        assert second.held

    in_virtual_time(main())


def test_a_standby_takes_over_when_the_holder_falls_silent() -> None:
    async def main() -> None:
        cluster = FakeCluster()
        await lease(cluster, "one").acquire()
        second = lease(cluster, "two")

        await second.acquire()

        assert DURATION_S <= now() < DURATION_S + 5
        assert cluster.objects[REF]["spec"]["leaseTransitions"] == 1

    in_virtual_time(main())


def test_a_released_lease_is_taken_over_within_seconds() -> None:
    async def main() -> None:
        cluster = FakeCluster()
        first, second = lease(cluster, "one"), lease(cluster, "two")
        await first.acquire()
        waiting = asyncio.create_task(second.acquire())
        await keep_for(first, 30)
        released_at = now()
        await first.release()

        await waiting

        assert now() - released_at < 5
        assert not first.held

    in_virtual_time(main())


def test_a_holder_that_sees_another_name_stops_at_once() -> None:
    async def main() -> None:
        cluster = FakeCluster()
        first = lease(cluster, "one")
        await first.acquire()
        cluster.put({**MANIFEST, "spec": {"holderIdentity": "two"}})

        with pytest.raises(LeaseLost):
            await first.keep()

        assert now() < 5
        assert not first.held

    in_virtual_time(main())


def test_a_holder_renews_without_reading_and_makes_the_lease_anew_when_somebody_deleted_it() -> None:
    async def main() -> None:
        cluster = FakeCluster()
        first = lease(cluster, "one")
        await first.acquire()
        await keep_for(first, 60)
        before = list(cluster.reads)
        await keep_for(first, 60)
        quiet = list(cluster.reads)

        del cluster.objects[REF]
        await keep_for(first, 60)

        assert quiet == before
        assert cluster.objects[REF]["spec"]["holderIdentity"] == "one"

    in_virtual_time(main())


def test_a_holder_that_cannot_renew_stops_before_a_standby_may_start() -> None:
    async def main() -> None:
        cluster = FakeCluster()
        first = lease(cluster, "one")
        await first.acquire()
        cluster.fail_with = Unavailable("down")

        with pytest.raises(LeaseLost):
            await first.keep()

        assert now() < DURATION_S

    in_virtual_time(main())


def test_an_outage_while_waiting_only_delays() -> None:
    async def main() -> None:
        cluster = FakeCluster()
        cluster.fail_with = Unavailable("down")
        waiting = asyncio.create_task(lease(cluster, "one").acquire())
        await asyncio.sleep(600)
        cluster.fail_with = None

        await waiting

    in_virtual_time(main())


def test_two_replicas_that_start_together_never_both_hold_it() -> None:
    async def main() -> None:
        cluster = FakeCluster()
        replicas = [lease(cluster, f"replica-{number}") for number in range(5)]
        waiting = [asyncio.create_task(replica.acquire()) for replica in replicas]
        await asyncio.sleep(1)

        assert sum(replica.held for replica in replicas) == 1
        for task in waiting:
            task.cancel()

    in_virtual_time(main())
