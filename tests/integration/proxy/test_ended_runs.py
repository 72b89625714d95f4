"""A command that is cancelled ends with all its children, at whatever moment that happens."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from athens_proxy.upstream.process import run

SCRIPT = "echo $$ >> pids; sleep 600 & echo $! >> pids; wait"


def is_running(pid: str) -> bool:
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())  # empty once it has ended
    except OSError:
        return False


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
    assert [pid for pid in (pids.read_text().split() if pids.exists() else []) if is_running(pid)] == []
