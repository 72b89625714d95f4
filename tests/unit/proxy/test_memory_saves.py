"""The memory store keeps to its bound and to the first bytes of a version, however many save at once."""

from __future__ import annotations

import asyncio
import os
import tracemalloc
from pathlib import Path

from athens_proxy.errors import ChecksumMismatch
from athens_proxy.storage.memory import MemoryStorage
from support.modules_fixture import SampleModule

MB = 1_000_000


async def test_of_savers_with_different_bytes_one_wins_and_the_others_are_told(tmp_path: Path) -> None:
    storage = MemoryStorage()
    modules = [SampleModule(files={"m.go": f"package m{number}\n".encode()}) for number in range(4)]

    results = await asyncio.gather(*(storage.save(m.fetched(tmp_path)) for m in modules), return_exceptions=True)

    assert [result is None for result in results].count(True) == 1
    assert sum(isinstance(result, ChecksumMismatch) for result in results) == 3


async def test_many_saves_at_once_hold_one_zip_beyond_the_bound_at_most(tmp_path: Path) -> None:
    storage = MemoryStorage(max_bytes=2 * MB)
    noise = {"noise.bin": os.urandom(MB)}
    fetched = [SampleModule(version=f"v1.0.{number}", files=noise).fetched(tmp_path) for number in range(10)]

    tracemalloc.start()
    await asyncio.gather(*(storage.save(one) for one in fetched))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 4 * MB
