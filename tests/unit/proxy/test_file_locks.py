"""Locks among processes of one machine."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from athens_proxy.stash.file_lock import FileLocks
from athens_proxy.stash.lock import HeldBy, Lease, LockUnavailable

KEY = "example.com/m@v1.0.0"


async def test_one_holder_at_a_time_and_each_hold_is_another(tmp_path: Path) -> None:
    ours, theirs = FileLocks(tmp_path), FileLocks(tmp_path)
    first = await ours.acquire(KEY)
    assert isinstance(first, Lease)

    assert await theirs.acquire(KEY) == HeldBy(first.proof)
    assert isinstance(await theirs.acquire("example.com/m@v1.1.0"), Lease)
    assert await ours.renew(first)

    await ours.release(first)
    second = await theirs.acquire(KEY)
    assert isinstance(second, Lease)
    assert second.proof != first.proof
    assert not await ours.renew(first)
    await ours.release(first)
    assert await ours.acquire(KEY) == HeldBy(second.proof)
    await theirs.close()
    await ours.close()


async def test_nothing_is_left_of_locks_that_were_given_back(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path)
    for _ in range(3):
        lease = await locks.acquire(KEY)
        assert isinstance(lease, Lease)
        await locks.release(lease)

    assert os.listdir(tmp_path) == []


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        asyncio.run(FileLocks(tmp_path).acquire(KEY))
        os.write(write, b"1")
        signal.pause()
    os.read(read, 1)
    locks = FileLocks(tmp_path)
    assert isinstance(asyncio.run(locks.acquire(KEY)), HeldBy)

    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

    assert isinstance(asyncio.run(locks.acquire(KEY)), Lease)
    asyncio.run(locks.close())
    os.close(read)
    os.close(write)


async def test_folder_that_is_gone_is_a_service_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(LockUnavailable, match="No such file or directory"):
        await FileLocks(tmp_path / "gone").acquire(KEY)
