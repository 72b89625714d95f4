"""A bounded store over a day: no more memory in the evening than in the morning, and hits as an LRU cache has them."""

from __future__ import annotations

import gc
import logging
import tracemalloc

from support.day_of_traffic import DayOfTraffic


async def test_a_day_of_traffic_leaves_memory_as_it_was() -> None:
    logging.getLogger("athens_proxy.retention.room").setLevel(logging.WARNING)
    day = DayOfTraffic(versions=200, room_for=40)
    await day.run(hours=4, requests=1_000)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        await day.run(hours=20, requests=5_000)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert day.evictions > 1_500
    assert grown < 150_000  # what was allocated before the trace began and replaced since, once each
