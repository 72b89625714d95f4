"""The pages of a catalogue of 100,000 versions, and the list of a module of 5,000: on disk against bars.

The same on MinIO is told, with fewer versions.

The stores are filled past the proxy, as a store that is taken over was: on disk by links to one version, in MinIO by
links to the file that MinIO itself keeps of an object.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from urllib.parse import quote

from benchmarks.peers import OURS, PACKAGES, Peer, Site
from benchmarks.report import Figure, Measured, Result, Sense
from demonstration.console import Say
from demonstration.errors import DemoError
from localcluster import packages
from support import object_servers
from support.modules_fixture import SampleModule
from support.store_settings import minio_settings

NAME: Final = "catalog"
MODULES: Final = 3_800
MODULES_IN_BUCKET: Final = 600  # MinIO makes a folder of each object, which takes minutes for 100,000 versions
VERSIONS: Final = 25
LARGE: Final = SampleModule("bench.example.com/large")
LARGE_VERSIONS: Final = 5_000
PAGE: Final = 1_000
WALKS: Final = 3
FIRST_MS: Final = 50.0
SLOWEST_MS: Final = 500.0
_BUCKET: Final = "modules"
_OFFLINE: Final = {"ATHENS_NETWORK_MODE": "offline"}


def measure(environ: Mapping[str, str], say: Say) -> list[Result]:
    """Walk the whole catalogue of both stores several times.

    Raises:
        DemoError: A server did not start or answered with errors, or entries were lost or came twice.
    """
    del environ
    packages.ensure(PACKAGES)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        disk = _disk(Path(folder) / "disk", say)
        minio = _minio(Path(folder) / "minio", say)
    what = f"page of {_entries(MODULES):,} entries on disk"
    return [
        Measured(NAME, f"first {what}", disk["first ms"], Sense.AT_MOST, FIRST_MS, "ms"),
        Measured(NAME, f"slowest {what}", disk["slowest ms"], Sense.AT_MOST, SLOWEST_MS, "ms"),
        Figure(NAME, f"{_entries(MODULES):,} entries", "disk", disk),
        Figure(NAME, f"{_entries(MODULES_IN_BUCKET):,} entries", "minio", minio),
    ]


def _disk(folder: Path, say: Say) -> dict[str, float]:
    site = Site(_made(folder), folder)
    say.passing(f"filling a disk store with {_entries(MODULES):,} versions")
    _fill_disk(site.store(OURS), MODULES)
    with site.ours("off", settings=_OFFLINE) as peer:
        return _walked(peer, _entries(MODULES), say)


def _minio(folder: Path, say: Say) -> dict[str, float]:
    site = Site(_made(folder), folder)
    with ExitStack() as running:
        server = running.enter_context(object_servers.minio(folder))
        settings = {**_OFFLINE, **minio_settings(server, _BUCKET)}
        with site.ours("off", settings=settings) as peer:  # makes the bucket
            peer.ask("/readyz")
        say.passing(f"filling a bucket of MinIO with {_entries(MODULES_IN_BUCKET):,} versions")
        _fill_minio(server.data / _BUCKET, MODULES_IN_BUCKET)
        with site.ours("off", settings=settings) as peer:
            return _walked(peer, _entries(MODULES_IN_BUCKET), say)


def _walked(peer: Peer, entries: int, say: Say) -> dict[str, float]:
    """The figures of one store, after a first walk that is not measured."""
    _walk(peer, entries)
    firsts, pages = [], []
    for number in range(WALKS):
        say.passing(f"walk {number + 1} of {WALKS}")
        took_ms = _walk(peer, entries)
        firsts.append(took_ms[0])
        pages += took_ms
    lists = [_timed(peer, f"/{LARGE.path}/@v/list")[1] for _ in range(2 * WALKS)][1:]
    return {
        "first ms": statistics.median(firsts),
        "median ms": statistics.median(pages),
        "slowest ms": max(pages),
        f"list of {LARGE_VERSIONS:,} ms": statistics.median(lists),
    }


def _walk(peer: Peer, entries: int) -> list[float]:
    """How long each page took."""
    seen: list[tuple[str, str]] = []
    took_ms, token = [], ""
    while True:
        body, ms = _timed(peer, f"/catalog?pagesize={PAGE}&token={quote(token, safe='')}")
        took_ms.append(ms)
        page = json.loads(body)
        seen += [(entry["module"], entry["version"]) for entry in page["modules"] or []]
        token = page.get("next") or ""
        if not token:
            break
    if (len(seen), len(set(seen))) != (entries, entries):
        raise DemoError(f"{peer.name}: {len(seen)} entries came, {len(set(seen))} different ones; stored are {entries}")
    return took_ms


def _timed(peer: Peer, target: str) -> tuple[bytes, float]:
    begun = time.perf_counter()
    body = peer.ask(target)
    return body, (time.perf_counter() - begun) * 1000


def _entries(modules: int) -> int:
    """How many versions are stored with so many modules beside the large one."""
    return modules * VERSIONS + LARGE_VERSIONS


def _versions(modules: int) -> Iterator[tuple[str, str]]:
    """Paths and versions of everything that is stored."""
    for number in range(modules):
        for version in range(VERSIONS):
            yield f"bench.example.com/team{number % 40}/module{number}", f"v1.{version}.0"
    for version in range(LARGE_VERSIONS):
        yield LARGE.path, f"v1.{version}.0"


class _Copies:
    """One file under many names, as links; a file system allows only so many of one file."""

    def __init__(self, original: Path) -> None:
        self._original = original

    def put(self, name: Path) -> None:
        """Make one more name."""
        try:
            os.link(self._original, name)
        except OSError:
            shutil.copyfile(self._original, name)
            self._original = name


def _fill_disk(root: Path, modules: int) -> None:
    files = []
    for name, data in (("go.mod", LARGE.mod), ("source.zip", LARGE.zip), (".info", LARGE.info)):
        original = root.parent / f"original{name}"
        original.write_bytes(data)
        files.append((name, _Copies(original)))
    for path, version in _versions(modules):
        folder = root / path / version
        folder.mkdir(parents=True)
        for name, copies in files:
            copies.put(folder / (f"{version}{name}" if name == ".info" else name))


def _fill_minio(bucket: Path, modules: int) -> None:
    """Copy what MinIO keeps of one small object to every key: an object's name is its folder's alone."""
    copies = _Copies(next(path for path in bucket.rglob("xl.meta") if path.is_file()))
    for path, version in _versions(modules):
        for name in ("go.mod", "source.zip", f"{version}.info"):
            folder = bucket / path / version / name
            folder.mkdir(parents=True)
            copies.put(folder / "xl.meta")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
