"""A process of its own that saves large zips, to be killed or to be measured; `object_trials` speaks with it.

`python -m support.object_worker kill`: reads lines of JSON `[place, zip, after_s]`. For each it forks a child that
opens the store and saves the zip, kills it -9 after that time unless it has ended, and writes the outcome and how long
it took. Nothing but a fork is cheap enough to be done a hundred times.

`python -m support.object_worker measure`: reads lines `[place, zips]`. For each it saves the zips at once, reads
them and deletes them, and writes its peak of resident memory in MiB; the first line is that of an idle one.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import sys
import time
from pathlib import Path

from athens_proxy.storage.storage import Storage
from support.large_zips import LargeZip
from support.object_places import Place


def peak_mib(process: int | str = "self") -> int:
    """The peak of a process's resident memory since the last call."""
    status = Path(f"/proc/{process}/status").read_text()
    Path(f"/proc/{process}/clear_refs").write_text("5")
    return next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def kill_saves() -> None:
    """Answer tasks of the first kind."""
    for line in sys.stdin:
        place, saved, after_s = json.loads(line)
        begun = time.monotonic()
        child = os.fork()
        if not child:
            asyncio.run(_save(Place(**place), LargeZip(**saved)))
            os._exit(0)
        outcome = _ended(child, after_s)
        print(json.dumps([outcome, time.monotonic() - begun]), flush=True)


async def measure_passes() -> None:
    """Answer tasks of the second kind."""
    storage: Storage | None = None
    peak_mib()
    for line in sys.stdin:
        place, zips = json.loads(line)
        if storage is None:
            storage = await Place(**place).open()
            await storage.check()
            print(json.dumps(peak_mib()), flush=True)
        await asyncio.gather(*(_in_and_out(storage, LargeZip(**saved)) for saved in zips))
        print(json.dumps(peak_mib()), flush=True)
    if storage is not None:
        await storage.close()


async def _in_and_out(storage: Storage, saved: LargeZip) -> None:
    fetched = saved.fetched()
    await storage.save(fetched)
    async with await storage.open_zip(fetched.wanted) as stored:
        received = 0
        async for chunk in stored.chunks():
            received += len(chunk)
    assert received == fetched.zip_size_bytes
    fetched.zip_path.unlink(missing_ok=True)
    await storage.delete(fetched.wanted)


async def _save(place: Place, saved: LargeZip) -> None:
    storage = await place.open()
    await storage.save(saved.fetched())
    await storage.close()


def _ended(child: int, after_s: float) -> str:
    handle = os.pidfd_open(child)
    try:
        select.select([handle], [], [], after_s)
        # An ended child keeps its number until it is waited for, so that this strikes nobody else.
        os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        os.close(handle)
    return {0: "saved", -signal.SIGKILL: "killed"}.get(code, "failed")


if __name__ == "__main__":
    if sys.argv[1] == "kill":
        kill_saves()
    else:
        asyncio.run(measure_passes())
