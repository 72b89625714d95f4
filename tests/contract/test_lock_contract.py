"""What every lock service promises (`stash/lock.py`), and what the layer above makes of it, on real servers.

Source of the cases: github.com/gomods/athens pkg/stash tests, and the rule that a lock never fails a request.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, suppress
from pathlib import Path

import pytest

from athens_proxy.errors import UpstreamError
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.stash.lock import HeldBy, Lease, LockRefused, Locks, LockUnavailable
from athens_proxy.stash.locked import Locked
from athens_proxy.storage.memory import MemoryStorage
from support.lock_processes import KINDS, Service, start
from support.lock_services import opened
from support.modules_fixture import SampleModule
from support.processes import inherited, started
from support.tree import ROOT

LEASE_S = 2.0  # the shortest that etcd grants
WITH_PASSWORD = ("redis", "redis-sentinel")
DEADLINE_S = 20.0


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Service]]:
    """One service per kind for the whole file; tests use keys of their own."""
    running: dict[str, Service] = {}
    with ExitStack() as stack:

        def service(kind: str) -> Service:
            if kind not in running:
                running[kind] = start(kind, tmp_path_factory.mktemp(kind), stack)
            return running[kind]

        yield service


@pytest.fixture(params=KINDS)
def service(request: pytest.FixtureRequest, services: Callable[[str], Service]) -> Service:
    """A running service of each kind."""
    return services(request.param)


@pytest.fixture
def lease_s() -> float:
    """How long a lock is held without a renewal: longer than a busy machine pauses, where nothing is to lapse."""
    return 30.0


lapsing = pytest.mark.parametrize("lease_s", [LEASE_S])


@pytest.fixture
async def locks(service: Service, lease_s: float) -> AsyncIterator[Locks]:
    """Locks of one replica."""
    async with opened(service.kind, service.endpoint, lease_s=lease_s) as locks:
        yield locks


@pytest.fixture
async def others(service: Service, lease_s: float) -> AsyncIterator[Locks]:
    """Locks of another replica."""
    async with opened(service.kind, service.endpoint, lease_s=lease_s) as locks:
        yield locks


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A key that no other test uses, in the form of Athens' keys."""
    return f"example.com/{abs(hash(request.node.name))}/m@v1.0.0"


async def taken(locks: Locks, key: str) -> Lease:
    """The lock, as soon as it is free."""
    deadline = time.monotonic() + DEADLINE_S
    while isinstance(answer := await locks.acquire(key), HeldBy):
        assert time.monotonic() < deadline, f"{key} is still held by {answer.holder}"
        await asyncio.sleep(0.02)
    return answer


async def test_a_working_service_passes_its_check(locks: Locks) -> None:
    await locks.check()


async def test_of_many_contenders_exactly_one_gets_the_lock(locks: Locks, others: Locks, key: str) -> None:
    answers = await asyncio.gather(*((locks, others)[number % 2].acquire(key) for number in range(16)))

    assert sum(isinstance(answer, Lease) for answer in answers) == 1


async def test_who_is_refused_learns_the_same_holder_each_time(locks: Locks, others: Locks, key: str) -> None:
    lease = await taken(locks, key)
    first = await others.acquire(key)
    await locks.renew(lease)

    assert isinstance(first, HeldBy)
    assert await others.acquire(key) == first


async def test_two_versions_are_two_locks(locks: Locks, key: str) -> None:
    leases = [await locks.acquire(name) for name in (key, f"{key}-pre", f"{key}0")]

    assert all(isinstance(lease, Lease) for lease in leases)


async def test_a_released_lock_is_free_at_once_and_has_another_holder_then(
    locks: Locks, others: Locks, key: str
) -> None:
    await locks.release(await taken(locks, key))

    second = await others.acquire(key)

    assert isinstance(second, Lease)
    assert isinstance(await locks.acquire(key), HeldBy)


@lapsing
async def test_a_lease_that_is_renewed_outlives_its_time(locks: Locks, others: Locks, key: str) -> None:
    lease = await taken(locks, key)
    until = time.monotonic() + 2 * LEASE_S
    while time.monotonic() < until:
        assert isinstance(await others.acquire(key), HeldBy)
        assert await locks.renew(lease)
        await asyncio.sleep(LEASE_S / 4)


@lapsing
async def test_the_lock_of_a_killed_process_lapses(service: Service, locks: Locks, key: str, tmp_path: Path) -> None:
    program = str(ROOT / "tests/support/lock_services.py")
    argv = [sys.executable, program, service.kind, service.endpoint, key, str(LEASE_S)]
    env = {**inherited("PATH"), "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT / 'hack'}"}
    with started("holder", argv, env=env, cwd=tmp_path, log=tmp_path / "holder.log") as holder:
        holder.wait_until(lambda: "held" in holder.logged(), what="holding the lock", deadline_s=DEADLINE_S)
        assert isinstance(await locks.acquire(key), HeldBy)
        killed_at = time.monotonic()
        holder.child.kill()

        await taken(locks, key)

    assert time.monotonic() - killed_at < 3 * LEASE_S + 1


@lapsing
async def test_a_lapsed_lease_is_neither_renewed_nor_does_its_release_touch_the_next_one(
    locks: Locks, others: Locks, key: str
) -> None:
    lapsed = await taken(locks, key)
    await taken(others, key)

    assert not await locks.renew(lapsed)
    await locks.release(lapsed)
    assert isinstance(await locks.acquire(key), HeldBy)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_service_that_is_gone_is_unavailable_within_seconds(kind: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        with ExitStack() as servers:
            service = start(kind, tmp_path / "servers", servers)
            locks = await stack.enter_async_context(opened(kind, service.endpoint, lease_s=LEASE_S))
            lease = await taken(locks, "example.com/m@v1.0.0")
            for process in service.processes:
                process.child.kill()
                process.child.wait()
            begun = time.monotonic()

            for ask in (locks.check(), locks.acquire(lease.key), locks.renew(lease)):
                with pytest.raises(LockUnavailable) as gone:
                    await ask
                assert locks.name in str(gone.value)
            with suppress(LockUnavailable):  # a bucket need not be asked about a lease that lapsed
                await locks.release(lease)

    assert time.monotonic() - begun < 20


@pytest.mark.parametrize(("password", "reason"), [("wrong", "WRONGPASS|invalid"), ("", "NOAUTH|Authentication")])
@pytest.mark.parametrize("kind", WITH_PASSWORD)
async def test_a_wrong_password_is_a_refusal_that_does_not_show_it(
    services: Callable[[str], Service], kind: str, password: str, reason: str
) -> None:
    async with opened(kind, services(kind).endpoint, lease_s=LEASE_S, password=password) as locks:
        with pytest.raises(LockRefused, match=reason) as refused:
            await locks.check()

    assert "wrong" not in str(refused.value).lower().replace("wrongpass", "")
    assert "check user and password" in str(refused.value)


class SlowFetch:
    """A stasher that saves into a store after a while, or fails, and counts its calls."""

    def __init__(self, storage: MemoryStorage, scratch: Path) -> None:
        self.storage = storage
        self.scratch = scratch
        self.calls = 0
        self.began = asyncio.Event()
        self.go_on = asyncio.Event()
        self.failure: Exception | None = None

    async def stash(self, wanted: ModuleVersion, *, upstream: str = "") -> ModuleVersion:
        self.calls += 1
        self.began.set()
        await self.go_on.wait()
        if self.failure is not None:
            raise self.failure
        await self.storage.save(SampleModule(wanted.path.text, wanted.version).fetched(self.scratch))
        return wanted


@pytest.fixture
def fetch(tmp_path: Path) -> SlowFetch:
    return SlowFetch(MemoryStorage(), tmp_path)


@pytest.fixture
def wanted(key: str) -> ModuleVersion:
    path, _, version = key.partition("@")
    return ModuleVersion.parse(ModulePath.parse(path), version)


def replica(fetch: SlowFetch, locks: Locks, events: list[str], *, wait_at_most_s: float = DEADLINE_S) -> Locked:
    return Locked(fetch, locks=locks, storage=fetch.storage, wait_at_most_s=wait_at_most_s, on_lock=events.append)


async def test_replicas_that_wait_get_the_result_of_the_one_that_fetches(
    fetch: SlowFetch, locks: Locks, others: Locks, wanted: ModuleVersion
) -> None:
    events: list[str] = []
    replicas = [replica(fetch, (locks, others)[number % 2], events) for number in range(6)]
    stashes = [asyncio.create_task(one.stash(wanted)) for one in replicas]
    await fetch.began.wait()
    fetch.go_on.set()

    assert await asyncio.gather(*stashes) == [wanted] * 6
    assert fetch.calls == 1
    assert events.count("stored") == 5


@lapsing
async def test_a_fetch_that_outlives_the_lease_keeps_the_lock(
    fetch: SlowFetch, locks: Locks, others: Locks, wanted: ModuleVersion
) -> None:
    events: list[str] = []
    first = asyncio.create_task(replica(fetch, locks, events).stash(wanted))
    await fetch.began.wait()
    second = asyncio.create_task(replica(fetch, others, events).stash(wanted))
    await asyncio.sleep(1.5 * LEASE_S)
    fetch.go_on.set()

    await asyncio.gather(first, second)
    assert (fetch.calls, events.count("lost")) == (1, 0)


async def test_a_failed_fetch_frees_the_lock_for_the_next_one(
    fetch: SlowFetch, locks: Locks, others: Locks, wanted: ModuleVersion
) -> None:
    fetch.failure = UpstreamError("down")
    fetch.go_on.set()
    with pytest.raises(UpstreamError):
        await replica(fetch, locks, []).stash(wanted)
    fetch.failure = None

    assert await replica(fetch, others, []).stash(wanted) == wanted


async def test_who_waits_too_long_fetches_without_the_lock(
    fetch: SlowFetch, locks: Locks, others: Locks, wanted: ModuleVersion, key: str
) -> None:
    events: list[str] = []
    await taken(others, key)
    fetch.go_on.set()

    await replica(fetch, locks, events, wait_at_most_s=0.2).stash(wanted)

    assert events == ["timeout"]


async def test_a_result_that_appears_in_the_store_ends_the_wait(
    fetch: SlowFetch, locks: Locks, others: Locks, wanted: ModuleVersion, key: str, tmp_path: Path
) -> None:
    """The holder may have died right after its save, or may never release."""
    lease = await taken(others, key)
    waiter = asyncio.create_task(replica(fetch, locks, []).stash(wanted))
    await fetch.storage.save(SampleModule(wanted.path.text, wanted.version).fetched(tmp_path))
    while not waiter.done():
        await others.renew(lease)
        await asyncio.sleep(0.1)

    assert (await waiter, fetch.calls) == (wanted, 0)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_service_that_dies_half_way_fails_no_stash(
    kind: str, fetch: SlowFetch, wanted: ModuleVersion, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[str] = []
    async with AsyncExitStack() as stack:
        with ExitStack() as servers:
            service = start(kind, tmp_path / "servers", servers)
            opening = (opened(kind, service.endpoint, lease_s=LEASE_S) for _ in range(2))
            replicas = [replica(fetch, await stack.enter_async_context(one), events) for one in opening]
            stashes = [asyncio.create_task(one.stash(wanted)) for one in replicas]
            await fetch.began.wait()
            for process in service.processes:
                process.child.kill()
                process.child.wait()
            fetch.go_on.set()

            assert await asyncio.gather(*stashes) == [wanted] * 2

    assert fetch.calls <= 2
    assert "unavailable" in events
    assert caplog.text.count("without a lock") <= len(replicas)
