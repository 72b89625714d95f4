"""A command that is cancelled ends with all its children, at whatever moment that happens."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from athens_proxy.upstream.process import run
from support.ended_processes import still_running

SCRIPT = "echo $$ >> pids; sleep 600 & echo $! >> pids; wait"


async def test_a_run_that_is_cancelled_while_it_starts_ends_with_its_children(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"]}
    for moment in range(25):
        argv = ["/bin/sh", "-c", SCRIPT]
        running = asyncio.create_task(run(argv, environment=environment, directory=tmp_path, timeout_s=600))
        await asyncio.sleep(moment * 0.0008)  # the start takes a few milliseconds
        running.cancel()
        async with asyncio.timeout(20):
            with suppress(asyncio.CancelledError):
                await running
        assert running.cancelled()

    pids = tmp_path / "pids"
    written = pids.read_text().split() if pids.exists() else []
    assert await still_running(map(int, written)) == []
