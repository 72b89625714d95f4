"""Bounds what one run of the go command may write: a run that writes more is ended."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

_T = TypeVar("_T")
_PAUSE_S: Final = 1.0
_SHARE: Final = 20  # a measurement is followed by at least so many times its duration without one


class QuotaExceeded(Exception):
    """More was written than allowed."""


async def within_quota(work: Coroutine[Any, Any, _T], folders: Sequence[Path], *, max_bytes: int) -> _T:
    """The result of the work, which may add so many bytes to the folders.

    Args:
        work: is cancelled when it adds more; it must leave nothing behind then.
        folders: links in them are not followed.
        max_bytes: 0 for no bound.

    Raises:
        QuotaExceeded: it added more.
    """
    if not max_bytes:
        return await work
    before = await asyncio.to_thread(_held_bytes, folders)
    task = asyncio.ensure_future(work)
    pause_s = _PAUSE_S
    try:
        while not (await asyncio.wait((task,), timeout=pause_s))[0]:
            began = time.monotonic()
            if await asyncio.to_thread(_held_bytes, folders) - before > max_bytes:
                raise QuotaExceeded
            pause_s = max(_PAUSE_S, _SHARE * (time.monotonic() - began))
        result = task.result()
        if await asyncio.to_thread(_held_bytes, folders) - before > max_bytes:  # written between two looks
            raise QuotaExceeded
        return result
    finally:
        task.cancel()
        await asyncio.wait((task,))


def held_bytes(folder: Path) -> int:
    """The bytes of the files below a folder, as far as they can be seen."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except FileNotFoundError:
                continue  # git has just put it away
    return total


def _held_bytes(folders: Sequence[Path]) -> int:
    return sum(map(held_bytes, folders))
