"""Room in a store: what a save waits for, what it never takes, and how it ends when there is none."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from athens_proxy.errors import ModuleNotFound, StorageError, StorageFull
from athens_proxy.modules import ModuleVersion
from athens_proxy.retention.ledger import RECORD_BYTES, Ledger
from athens_proxy.retention.plan import Eviction, Limits, Reason
from athens_proxy.retention.retained import RetainedStorage
from athens_proxy.retention.room import UNREAD_S, Room
from athens_proxy.storage.forwarding import ForwardingStorage
from athens_proxy.storage.memory import MemoryStorage
from support.modules_fixture import SampleModule
from support.proxy_parts import SUMS

NOISE = random.Random(1).randbytes(20_000)
MODULES = [SampleModule(version=f"v1.0.{number}", files={"noise.bin": NOISE}) for number in range(5)]
ROOM_BYTES = len(MODULES[0].zip) + len(MODULES[0].info) + len(MODULES[0].mod) + RECORD_BYTES
REST_BYTES = ROOM_BYTES - len(MODULES[0].zip)  # of a version whose zip went
BOUND_BYTES = 2 * ROOM_BYTES + 4 * REST_BYTES


class Clock:
    """Seconds that only grow, by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Stubborn(ForwardingStorage):
    """A store that may refuse to delete."""

    refuses = False

    def __init__(self, inner: MemoryStorage) -> None:
        super().__init__(inner)
        self.was_asked = asyncio.Event()

    async def delete_zip(self, wanted: ModuleVersion) -> None:
        self.was_asked.set()
        if self.refuses:
            raise StorageError(f"delete the zip of {wanted}: no right to")
        await super().delete_zip(wanted)


class Bounded:
    """A store in memory with room for two versions, and what is left of others."""

    def __init__(
        self, scratch: Path, *, wait_s: float = 60.0, max_idle_s: float = 0.0, max_bytes: int = BOUND_BYTES
    ) -> None:
        self.scratch = scratch
        self.clock = Clock()
        self.ledger = Ledger(clock=self.clock)
        self.inner = Stubborn(MemoryStorage())
        self.kept: set[ModuleVersion] = set()
        self.gone: list[Eviction[ModuleVersion]] = []
        self.room = Room(
            self.inner,
            self.ledger,
            Limits(max_bytes, max_idle_s),
            may_go=lambda wanted: wanted not in self.kept,
            sums=SUMS,
            on_eviction=self.gone.append,
            scratch=scratch,
            wait_s=wait_s,
        )
        self.storage = RetainedStorage(self.inner, self.ledger, self.room)

    async def save(self, *modules: SampleModule, after_s: float = UNREAD_S + 1) -> None:
        for module in modules:
            self.clock.now_s += after_s
            await self.storage.save(module.fetched(self.scratch))

    @property
    def gone_versions(self) -> list[str]:
        return [eviction.wanted.version for eviction in self.gone]


@pytest.fixture
def bounded(tmp_path: Path) -> Callable[..., Bounded]:
    return lambda **settings: Bounded(tmp_path, **settings)


async def test_a_zip_that_is_being_read_stays_and_goes_once_its_reader_has_left(
    bounded: Callable[..., Bounded],
) -> None:
    store = bounded()
    await store.save(*MODULES[:2])
    store.kept = {MODULES[1].wanted}
    async with await store.storage.open_zip(MODULES[0].wanted) as stored:
        saving = asyncio.create_task(store.save(MODULES[2]))
        done, _ = await asyncio.wait({saving}, timeout=0.3)
        data = b"".join([chunk async for chunk in stored.chunks()])

        assert not done
        assert data == MODULES[0].zip
    await saving

    assert store.gone_versions == ["v1.0.0"]


async def test_a_zip_that_nobody_who_waited_has_read_yet_stays(bounded: Callable[..., Bounded]) -> None:
    store = bounded(wait_s=0.0)
    await store.save(*MODULES[:2], after_s=0)

    with pytest.raises(StorageFull, match=r"no stored zip may go.*purge versions"):
        await store.save(MODULES[2], after_s=0)
    async with await store.storage.open_zip(MODULES[1].wanted):
        pass
    await store.save(MODULES[2], after_s=0)

    assert store.gone_versions == ["v1.0.1"]


async def test_a_save_that_finds_only_kept_zips_is_refused_at_once(bounded: Callable[..., Bounded]) -> None:
    store = bounded()
    await store.save(*MODULES[:2])
    store.kept = {module.wanted for module in MODULES}

    with pytest.raises(StorageFull, match=r"raise it, shorten Retention\.Keep or purge versions"):
        await store.save(MODULES[2])

    with pytest.raises(ModuleNotFound):
        await store.storage.info(MODULES[2].wanted)


async def test_a_store_that_refuses_to_delete_refuses_the_save_and_recovers(bounded: Callable[..., Bounded]) -> None:
    store = bounded()
    await store.save(*MODULES[:2])
    store.inner.refuses = True
    with pytest.raises(StorageFull):
        await store.save(MODULES[2])

    store.inner.refuses = False
    await store.save(MODULES[2])

    assert len(store.gone) == 1


async def test_saves_at_once_stay_within_the_bound(bounded: Callable[..., Bounded]) -> None:
    store = bounded()
    greatest = 0

    async def save_and_read(module: SampleModule) -> None:
        nonlocal greatest
        await store.storage.save(module.fetched(store.scratch))
        greatest = max(greatest, store.ledger.size_bytes)
        async with await store.storage.open_zip(module.wanted):
            pass

    await asyncio.gather(*(save_and_read(module) for module in MODULES))

    assert greatest <= BOUND_BYTES
    assert len(store.gone) == 3


async def test_what_nobody_used_goes_after_its_time_and_not_before(bounded: Callable[..., Bounded]) -> None:
    store = bounded(max_idle_s=100.0)
    await store.save(MODULES[0], MODULES[1])
    store.clock.now_s += 90
    async with await store.storage.open_zip(MODULES[0].wanted):
        pass
    await store.room.sweep()
    assert store.gone == []

    store.clock.now_s += 20
    await store.room.sweep()

    assert [(eviction.wanted, eviction.reason) for eviction in store.gone] == [(MODULES[1].wanted, Reason.IDLE)]


async def test_a_long_sweep_lets_saves_go_first_and_spares_what_is_used_meanwhile(
    bounded: Callable[..., Bounded],
) -> None:
    store = bounded(max_idle_s=100.0, max_bytes=10**9)
    many = [SampleModule("example.com/many", f"v1.0.{number}") for number in range(40)]
    await store.save(*many)
    store.clock.now_s += 1000

    sweeping = asyncio.create_task(store.room.sweep())
    await store.inner.was_asked.wait()
    async with await store.storage.open_zip(many[-1].wanted):
        pass
    await store.save(MODULES[0])

    assert not sweeping.done()
    await sweeping
    assert len(store.gone) == 39


async def test_a_failed_save_leaves_its_room_to_others(bounded: Callable[..., Bounded]) -> None:
    store = bounded()
    evil = SampleModule(version="v1.0.0", files={"m.go": b"package evil\n"})
    await store.save(MODULES[0])
    for _ in range(3):
        with pytest.raises(Exception, match="checksum mismatch"):
            await store.save(evil)

    await store.save(MODULES[1])

    assert store.gone == []
    assert store.ledger.size_bytes == 2 * ROOM_BYTES
