"""Answers can be read while the disk is still busy with them, and are written before the end."""

from __future__ import annotations

import asyncio
import logging

import pytest

from athens_proxy.errors import StorageError, StorageFull
from athens_proxy.upstream.kept_answers import KeptAnswers
from support.virtual_time import in_virtual_time


class SlowRecords:
    """Records that are written when they may be, or never because of a failure."""

    def __init__(self) -> None:
        self.written: dict[str, bytes] = {}
        self.may_write = asyncio.Event()
        self.failure: StorageError | None = None

    async def read_record(self, name: str) -> bytes:
        return self.written[name]

    async def write_record(self, name: str, data: bytes) -> None:
        await self.may_write.wait()
        if self.failure:
            raise self.failure
        self.written[name] = data


async def test_an_answer_is_there_before_it_is_written() -> None:
    records = SlowRecords()
    kept = KeptAnswers(records)
    kept.keep("lookup", b"answer")
    assert await kept.read("lookup") == b"answer"
    assert records.written == {}

    records.may_write.set()
    await kept.aclose()
    assert records.written == {"lookup": b"answer"}
    assert await kept.read("lookup") == b"answer"


async def test_an_answer_that_cannot_be_written_is_said_and_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    records = SlowRecords()
    records.may_write.set()
    records.failure = StorageFull("write record lookup: no space is left")
    kept = KeptAnswers(records)
    with caplog.at_level(logging.WARNING):
        kept.keep("lookup", b"answer")
        await kept.aclose()
    assert "no space is left" in caplog.text
    with pytest.raises(KeyError):
        await kept.read("lookup")


class TimedRecords(SlowRecords):
    """Records that are written at once, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.may_write.set()
        self.written_s: dict[str, float] = {}

    async def write_record(self, name: str, data: bytes) -> None:
        await super().write_record(name, data)
        self.written_s.setdefault(name, asyncio.get_running_loop().time())


async def handed_over(kept: KeptAnswers, *, count: int, every_s: float) -> None:
    for number in range(count):
        kept.keep(f"tile/{number}", b"hashes")
        await asyncio.sleep(every_s)


def test_an_answer_that_comes_alone_is_written_without_delay() -> None:
    async def alone() -> None:
        records, begin_s = TimedRecords(), asyncio.get_running_loop().time()
        kept = KeptAnswers(records)
        await handed_over(kept, count=3, every_s=0.5)
        assert [records.written_s[f"tile/{number}"] - begin_s for number in range(3)] == pytest.approx([0, 0.5, 1.0])
        await kept.aclose()

    in_virtual_time(alone())


def test_a_rush_of_answers_is_written_when_it_is_over() -> None:
    async def rush() -> None:
        records = TimedRecords()
        kept = KeptAnswers(records, rest_s=1.0, at_latest_s=10.0)
        for number in range(50):
            kept.keep(f"lookup/{number}", b"answer")
        begin_s = asyncio.get_running_loop().time()
        await handed_over(kept, count=20, every_s=0.1)
        assert records.written == {}
        await asyncio.sleep(1.0)
        assert len(records.written) == 70
        assert min(records.written_s.values()) - begin_s == pytest.approx(2.9)
        await kept.aclose()

    in_virtual_time(rush())


def test_a_rush_without_end_is_written_all_the_same() -> None:
    async def endless() -> None:
        records, begin_s = TimedRecords(), asyncio.get_running_loop().time()
        kept = KeptAnswers(records, rush_from=1, rest_s=1.0, at_latest_s=10.0)
        kept.keep("lookup/a", b"answer")
        kept.keep("lookup/b", b"answer")
        await handed_over(kept, count=200, every_s=0.1)
        assert records.written_s["lookup/a"] - begin_s == pytest.approx(10.0)
        await kept.aclose()
        assert len(records.written) == 202

    in_virtual_time(endless())


def test_answers_that_would_take_too_much_memory_are_written_during_the_rush() -> None:
    async def large() -> None:
        records, begin_s = TimedRecords(), asyncio.get_running_loop().time()
        kept = KeptAnswers(records, rush_from=1, rest_s=1.0, at_most_bytes=1000)
        for number in range(4):
            kept.keep(f"tile/{number}", bytes(300))
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        assert len(records.written) == 4
        assert set(records.written_s.values()) == {begin_s}
        await kept.aclose()

    in_virtual_time(large())


def test_a_rush_is_written_before_the_end() -> None:
    async def ended() -> None:
        records = TimedRecords()
        kept = KeptAnswers(records)
        for number in range(50):
            kept.keep(f"lookup/{number}", b"answer")
        await kept.aclose()
        assert len(records.written) == 50

    in_virtual_time(ended())
