"""A process that saves and reads one large zip in a store, to be measured and to be killed.

Usage: python -m support.object_worker BACKEND URL PLACE ZIP PASSES
URL and PLACE are the server and the bucket; the folder of a disk store is the PLACE.
It writes `ready`, waits for a line, and then writes one line per pass: its peak of resident memory in MiB.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from pathlib import Path

from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.storage.disk import open_disk_storage
from athens_proxy.storage.storage import FetchedModule, Storage
from support.object_stores import SUMS, object_storage

MOD = b"module example.com/big\n"


def linked(zip_path: Path) -> Path:
    """Another name of a zip, for a store that moves what it is given."""
    link = zip_path.with_name(f"{uuid.uuid4().hex}.zip")
    link.hardlink_to(zip_path)
    return link


def big_module(zip_path: Path, *, version: str) -> FetchedModule:
    """A version whose zip is this file; stores do not look into it unless two versions of it differ."""
    return FetchedModule(
        wanted=ModuleVersion(ModulePath.parse("example.com/big"), version),
        info=f'{{"Version":"{version}"}}'.encode(),
        mod=MOD,
        zip_path=zip_path,
        zip_size_bytes=zip_path.stat().st_size,
        zip_h1="h1:zip-of-the-test",
        mod_h1="h1:mod-of-the-test",
    )


async def open_store(backend: str, url: str, place: str) -> Storage:
    """A store of any kind."""
    match backend:
        case "disk":
            return open_disk_storage(Path(place), sums=SUMS, create=True)
        case _:
            return await object_storage(backend, url, place)


def peak_mib() -> int:
    """The peak of resident memory since the last call."""
    lines = Path("/proc/self/status").read_text().splitlines()
    Path("/proc/self/clear_refs").write_text("5")
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM:"))


async def main(backend: str, url: str, place: str, zip_file: str, passes: int) -> None:
    """Save and read a version in each pass, and delete it if another pass may follow."""
    storage = await open_store(backend, url, place)
    await storage.check()
    peak_mib()
    print("ready", peak_mib(), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for _ in range(passes):
        fetched = big_module(linked(Path(zip_file)), version="v1.0.0")
        await storage.save(fetched)
        async with await storage.open_zip(fetched.wanted) as stored:
            received = 0
            async for chunk in stored.chunks():
                received += len(chunk)
        assert received == fetched.zip_size_bytes
        fetched.zip_path.unlink(missing_ok=True)
        if passes > 1:
            await storage.delete(fetched.wanted)
        print(peak_mib(), flush=True)
    await storage.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])))
