"""Answers can be read while the disk is still busy with them, and are written before the end."""

from __future__ import annotations

import asyncio
import logging

import pytest

from athens_proxy.errors import StorageError, StorageFull
from athens_proxy.upstream.kept_answers import KeptAnswers


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
