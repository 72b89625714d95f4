"""A bounded store over a day: no more memory in the evening than in the morning."""

from __future__ import annotations

import gc
import logging
import tracemalloc

import pytest

from support.day_of_traffic import DayOfTraffic


async def test_a_day_of_traffic_leaves_memory_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="athens_proxy.retention.room")  # a captured line is memory, too
    day = DayOfTraffic(versions=100, room_for=20)
    await day.run(hours=4, requests=500)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        await day.run(hours=20, requests=2_000)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert day.evictions > 600
    assert grown < 150_000  # what was allocated before the trace began and replaced since, once each
