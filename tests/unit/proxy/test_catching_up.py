"""The index that never fails a download: what waits, what is kept, who is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from athens_proxy.errors import IndexUnavailable, StorageError
from athens_proxy.index.catching_up import CatchingUp
from athens_proxy.index.kept import RECORD, KeptLines
from athens_proxy.index.memory import MemoryIndex
from athens_proxy.modules import ModulePath, ModuleVersion
from support.memory_records import MemoryRecords

PATH = ModulePath.parse("example.com/m")


def version(number: int) -> ModuleVersion:
    return ModuleVersion(PATH, f"v1.{number}.0")


class FlakyIndex(MemoryIndex):
    """An index that can be down."""

    def __init__(self) -> None:
        super().__init__()
        self.is_down = False
        self.was_asked = asyncio.Event()

    async def record(self, wanted: ModuleVersion) -> bool:
        self.was_asked.set()
        if self.is_down:
            raise IndexUnavailable("the index does not answer")
        return await super().record(wanted)

    async def versions(self) -> list[str]:
        return [line.version for line in await self.lines(since=None, limit=100)]


@asynccontextmanager
async def running(recorder: CatchingUp) -> AsyncIterator[None]:
    task = asyncio.create_task(recorder.run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


async def test_a_version_is_in_a_healthy_index_when_the_download_ends() -> None:
    index, records = FlakyIndex(), MemoryRecords()
    recorder = CatchingUp(index, KeptLines(records), on_waiting=lambda _: None)
    async with running(recorder):
        await recorder.record(version(1))

        assert await index.versions() == ["v1.1.0"]
    assert records.by_name == {}


async def test_what_waits_is_kept_and_recorded_in_order_when_the_index_is_back() -> None:
    index, records, waiting = FlakyIndex(), MemoryRecords(), list[int]()
    index.is_down = True
    recorder = CatchingUp(index, KeptLines(records), on_waiting=waiting.append, retry_s=0.01)
    async with running(recorder):
        for number in range(3):
            await recorder.record(version(number))
        await until(lambda: records.by_name.get(RECORD, b"").count(b"\n") == 3)
        index.is_down = False
        await until(lambda: records.by_name[RECORD] == b"")

    assert await index.versions() == ["v1.0.0", "v1.1.0", "v1.2.0"]
    assert (max(waiting), waiting[-1]) == (3, 0)


async def test_a_download_does_not_wait_for_an_index_that_is_down() -> None:
    index = FlakyIndex()
    index.is_down = True
    recorder = CatchingUp(index, KeptLines(MemoryRecords()), on_waiting=lambda _: None, retry_s=60)
    async with running(recorder):
        await recorder.record(version(1))  # learns it
        async with asyncio.timeout(0.5):
            for number in range(50):
                await recorder.record(version(number))


async def test_lines_of_an_ended_process_are_recorded_by_the_next() -> None:
    index, records = FlakyIndex(), MemoryRecords()
    index.is_down = True
    first = CatchingUp(index, KeptLines(records), on_waiting=lambda _: None)
    task = asyncio.create_task(first.record(version(7)))
    await asyncio.sleep(0)
    await first.drain(within_s=0.1)
    task.cancel()
    index.is_down = False

    async with running(CatchingUp(index, KeptLines(records), on_waiting=lambda _: None)):
        await until(lambda: records.by_name[RECORD] == b"")

    assert await index.versions() == ["v1.7.0"]


async def test_two_replicas_keep_each_other_s_lines() -> None:
    records = MemoryRecords()
    first, second = KeptLines(records), KeptLines(records)
    await first.change(add=[version(1)], remove=[])
    await second.change(add=[version(2)], remove=[])
    await first.change(add=[], remove=[version(1)])

    assert await second.read() == [version(2)]


async def test_lines_that_cannot_be_read_are_left_out() -> None:
    records = MemoryRecords()
    records.by_name[RECORD] = (
        b'["example.com/m","v1.1.0"]\n{}\n[1]\nnull\n["../x","v1.0.0"]\n\xff\n["example.com/m","v1.2.0"]'
    )

    assert await KeptLines(records).read() == [version(1), version(2)]


async def test_a_store_that_refuses_costs_durability_only(caplog: pytest.LogCaptureFixture) -> None:
    class Refusing(MemoryRecords):
        async def read_record(self, name: str) -> bytes:
            raise StorageError("no")

        async def write_record(self, name: str, data: bytes) -> None:
            raise StorageError("no")

    await KeptLines(Refusing()).change(add=[version(1)], remove=[])

    assert "cannot be kept" in caplog.text


async def test_more_than_may_wait_is_dropped_with_the_way_to_find_it_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept = KeptLines(MemoryRecords())
    recorder = CatchingUp(FlakyIndex(), kept, on_waiting=lambda _: None, grace_s=0.001, most_waiting=2)
    for number in range(3):
        await recorder.record(version(number))

    assert caplog.text.count("athens-proxy reindex") == 1
