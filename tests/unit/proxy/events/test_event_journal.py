"""The record of events in the store: batches, restarts, replicas, and a store that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from athens_proxy.errors import ModuleNotFound, StorageError
from athens_proxy.events.events import Events
from athens_proxy.events.journal import FOLLOWED_LOOK_S, RECORD, RECORDED, Journal
from athens_proxy.events.kinds import decode
from support.memory_records import MemoryRecords
from support.virtual_time import in_virtual_time


class CountedRecords(MemoryRecords):
    """Records that count reads and writes, and can fail or lose."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = self.writes = 0
        self.is_down = False

    async def read_record(self, name: str) -> bytes:
        self.reads += 1
        if self.is_down:
            raise StorageError("the store is down")
        return await super().read_record(name)

    async def write_record(self, name: str, data: bytes) -> None:
        self.writes += 1
        await super().write_record(name, data)

    @property
    def versions(self) -> list[str]:
        return [event.version for event in decode(self.by_name.get(RECORD, b""))]


@asynccontextmanager
async def journaled(records: CountedRecords, *, watched: bool = False) -> AsyncIterator[Events]:
    """The events of one process whose journal runs."""
    events = Events()
    journal = Journal(events, records, look_s=lambda: FOLLOWED_LOOK_S if watched else None)
    await journal.load()
    running = asyncio.create_task(journal.run())
    try:
        yield events
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await journal.leave()


def stored(events: Events, version: str) -> None:
    events.publish("stored", "example.com/m", version)


def seen(events: Events) -> list[str]:
    return sorted(event.version for event in events.newest(10_000))


def test_a_burst_of_events_is_one_write_and_at_rest_nothing_happens() -> None:
    async def main() -> None:
        records = CountedRecords()
        async with journaled(records) as events:
            for n in range(50):
                stored(events, f"v1.{n}.0")
            await asyncio.sleep(60)
            reads = records.reads
            await asyncio.sleep(3600)

            assert (records.writes, records.reads) == (1, reads)
            assert len(records.versions) == 50

    in_virtual_time(main())


def test_events_outlive_a_restart_and_ids_go_on_growing() -> None:
    async def main() -> None:
        records = CountedRecords()
        async with journaled(records) as events:
            stored(events, "v1.0.0")  # not written yet when the process ends
        async with journaled(records) as events:
            assert seen(events) == ["v1.0.0"]
            last = events.last_id
            stored(events, "v1.1.0")
            assert events.last_id > last

    in_virtual_time(main())


def test_replicas_learn_of_each_other_within_seconds() -> None:
    async def main() -> None:
        records = CountedRecords()
        async with journaled(records, watched=True) as one, journaled(records) as other:
            stored(other, "v1.0.0")
            await asyncio.sleep(4)

            assert seen(one) == ["v1.0.0"]

    in_virtual_time(main())


def test_what_another_writer_overwrote_is_written_again() -> None:
    async def main() -> None:
        records = CountedRecords()
        async with journaled(records) as events:
            stored(events, "v1.0.0")
            await asyncio.sleep(2)
            records.by_name[RECORD] = b'[1,"stored","example.com/other","v9.0.0","","other"]\n'
            await asyncio.sleep(10)

            assert sorted(records.versions) == ["v1.0.0", "v9.0.0"]

    in_virtual_time(main())


def test_refusals_alone_are_written_rarely() -> None:
    async def main() -> None:
        records = CountedRecords()
        async with journaled(records) as events:
            for n in range(60):
                events.publish("refused", f"example.com/m{n}", "")
                await asyncio.sleep(1)

            assert records.writes <= 21

    in_virtual_time(main())


def test_a_store_that_is_down_loses_nothing_and_stops_nobody() -> None:
    async def main() -> None:
        records = CountedRecords()
        records.is_down = True
        async with journaled(records) as events:
            stored(events, "v1.0.0")
            await asyncio.sleep(30)
            records.is_down = False
            await asyncio.sleep(10)

            assert records.versions == ["v1.0.0"]

    in_virtual_time(main())


def test_the_record_stays_bounded() -> None:
    async def main() -> None:
        records = CountedRecords()
        async with journaled(records) as events:
            for n in range(RECORDED + 500):
                stored(events, f"v1.{n}.0")
            await asyncio.sleep(30)

            assert len(records.versions) == RECORDED
            assert records.versions[-1] == f"v1.{RECORDED + 499}.0"
            assert records.writes == 1

    in_virtual_time(main())


def test_a_store_that_never_answers_does_not_hold_up_the_start() -> None:
    class Silent(CountedRecords):
        async def read_record(self, name: str) -> bytes:
            await asyncio.Event().wait()
            raise ModuleNotFound("never")

    async def main() -> None:
        begun = asyncio.get_running_loop().time()
        async with journaled(Silent()):
            assert asyncio.get_running_loop().time() - begun <= 5

    in_virtual_time(main())
