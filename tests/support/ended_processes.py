"""Processes that were killed: the signal is sent at once, and followed when the machine comes round to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

DEADLINE_S = 30.0


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def still_running(pids: Iterable[int]) -> list[int]:
    """Those of the processes that have not ended after a while, which is none for killed ones."""
    left = [pid for pid in pids if is_running(pid)]
    deadline = time.monotonic() + DEADLINE_S
    while left and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
        left = [pid for pid in left if is_running(pid)]
    return left
