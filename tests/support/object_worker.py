"""A process that saves and reads one large zip in a bucket, to be measured and to be killed.

Usage: python -m support.object_worker BACKEND URL BUCKET ZIP PASSES
It writes `ready`, waits for a line, and then writes one line per pass: its peak of resident memory in MiB.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.storage.storage import FetchedModule
from support.object_stores import object_storage

MOD = b"module example.com/big\n"


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


def peak_mib() -> int:
    """The peak of resident memory since the last call."""
    lines = Path("/proc/self/status").read_text().splitlines()
    Path("/proc/self/clear_refs").write_text("5")
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM:"))


async def main(backend: str, url: str, bucket: str, zip_file: str, passes: int) -> None:
    """Save and read a new version in each pass."""
    storage = await object_storage(backend, url, bucket)
    await storage.check()
    peak_mib()
    print("ready", peak_mib(), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for number in range(passes):
        fetched = big_module(Path(zip_file), version=f"v1.{number}.0")
        await storage.save(fetched)
        async with await storage.open_zip(fetched.wanted) as stored:
            received = 0
            async for chunk in stored.chunks():
                received += len(chunk)
        assert received == fetched.zip_size_bytes
        print(peak_mib(), flush=True)
    await storage.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])))
