"""Large zips: flat memory in both directions, and a whole version or none however a save is killed.

KILL_POINTS and PASSES in the environment make longer runs of the same tests.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from athens_proxy.errors import ModuleNotFound
from athens_proxy.modules import ModuleVersion
from athens_proxy.storage.storage import Storage
from support.object_servers import ObjectServer
from support.object_stores import BACKENDS, SERVER_OF, new_bucket
from support.object_worker import MOD, big_module, linked, open_store
from support.tree import ROOT

MIB = 1024 * 1024
KILL_POINTS = int(os.environ.get("KILL_POINTS", "3"))
PASSES = int(os.environ.get("PASSES", "2"))
DEADLINE_S = 120.0


@pytest.fixture
def zip_of(tmp_path: Path) -> Path:
    return tmp_path / "big.zip"


@pytest.fixture(params=[*BACKENDS, "disk"])
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of store by name."""
    name: str = request.param
    return name


@pytest.fixture
def place(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """An empty store's server, and its bucket, database or folder."""
    match backend:
        case "disk":
            yield "", str(tmp_path / "store")
        case _:
            server: ObjectServer = request.getfixturevalue(SERVER_OF[backend])
            yield server.url, new_bucket(backend, server)


@contextmanager
def worker(backend: str, place: tuple[str, str], zip_path: Path, passes: int) -> Iterator[subprocess.Popen[str]]:
    """The worker, ready to begin at a line on its standard input; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "support.object_worker", backend, *place, str(zip_path), str(passes)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("tests", "hack"))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line_of(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


def begin(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("begin\n")
    process.stdin.flush()


def write_noise(path: Path, size_bytes: int) -> None:
    """The zip of a module that is mostly noise; a store that is a service looks into it."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("example.com/big@v1.0.0/go.mod", MOD)
        with archive.open("example.com/big@v1.0.0/noise.bin", "w") as file:
            for _ in range(size_bytes // MIB):
                file.write(random.randbytes(MIB))


def test_memory_stays_flat_while_300_mib_go_in_and_out(backend: str, place: tuple[str, str], zip_of: Path) -> None:
    write_noise(zip_of, 300 * MIB)

    with worker(backend, place, zip_of, PASSES) as process:
        idle = int(line_of(process)[1])
        begin(process)
        peaks = [int(line_of(process)[0]) for _ in range(PASSES)]

    print(f"{backend}: idle {idle} MiB, peaks {peaks} MiB")
    assert max(peaks) - idle <= 64
    assert peaks[-1] - peaks[min(2, PASSES - 1)] <= 8


async def _state(storage: Storage, wanted: ModuleVersion, data: bytes) -> str:
    try:
        async with await storage.open_zip(wanted) as stored:
            whole = b"".join([chunk async for chunk in stored.chunks()]) == data
    except ModuleNotFound:
        return "absent"
    return "whole" if whole and await storage.mod(wanted) and await storage.info(wanted) else "half"


async def test_a_killed_save_leaves_a_whole_version_or_none(backend: str, place: tuple[str, str], zip_of: Path) -> None:
    write_noise(zip_of, 50 * MIB)
    data = await asyncio.to_thread(zip_of.read_bytes)
    fetched = big_module(zip_of, version="v1.0.0")
    storage = await open_store(backend, *place)
    begun = time.monotonic()
    await storage.save(big_module(linked(zip_of), version="v1.0.0"))
    save_s = time.monotonic() - begun
    states = []

    for _ in range(KILL_POINTS):
        with suppress(ModuleNotFound):
            await storage.delete(fetched.wanted)
        with worker(backend, place, zip_of, 1) as process:
            assert line_of(process)[0] == "ready"
            begin(process)
            try:
                process.wait(random.uniform(0, save_s * 1.2))
            except subprocess.TimeoutExpired:
                process.kill()
        states.append(await _state(storage, fetched.wanted, data))
        await storage.save(big_module(linked(zip_of), version="v1.0.0"))
        assert await _state(storage, fetched.wanted, data) == "whole"

    await storage.close()
    print(f"{backend}: a save takes {save_s:.2f} s; after kills {states}")
    assert set(states) <= {"whole", "absent"}
