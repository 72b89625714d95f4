"""Module versions in folders of others: a module cache's `cache/download`, a goproxy store, an Athens store.

All three may lie anywhere below the folder, also beside each other. Only reads.

Source: cmd/go/internal/modfetch/cache.go; github.com/goproxy/goproxy cacher.go; github.com/gomods/athens pkg/storage/fs
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from athens_proxy.checksums.tlog import HASH_BYTES, TILE_WIDTH
from athens_proxy.commands.importing import Offer
from athens_proxy.errors import ModuleNotFound, StorageError
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.storage import layout
from athens_proxy.storage.disk_save import disk_reason
from athens_proxy.storage.zip_damage import recorded_sums
from athens_proxy.upstream.sumdb_requests import MAX_LOOKUP_BYTES
from athens_proxy.upstream.zipcheck import MAX_GO_MOD_BYTES

MAX_SMALL_BYTES: Final = 1024 * 1024
_CACHE: Final = ("cache/download", "pkg/mod/cache/download")
_NOT_MODULES: Final = frozenset({"sumdb", "vcs", layout.RECORDS_DIR})


@dataclass(frozen=True, slots=True)
class _Found:
    """Where the files of one version lie; a file may be missing."""

    wanted: ModuleVersion
    info: Path
    mod: Path
    zip: Path
    sums: Path


@dataclass(frozen=True, slots=True)
class DownloadTree:
    """What a folder holds.

    Attributes:
        root: the folder itself, or the download cache in it.
        versions: those that have a zip.
        without_zip: how many are there with their go.mod alone.
    """

    root: Path
    versions: tuple[_Found, ...]
    without_zip: int

    @property
    def wanted(self) -> list[ModuleVersion]:
        """The versions."""
        return [found.wanted for found in self.versions]

    def offers(self) -> Iterator[Offer]:
        """The versions with their small files read; blocks.

        Raises:
            StorageError: a file cannot be read.
        """
        for found in self.versions:
            try:
                yield Offer(
                    found.wanted,
                    info=_read(found.info, MAX_SMALL_BYTES),
                    mod=_read(found.mod, MAX_GO_MOD_BYTES),
                    zip_h1=recorded_sums(_read(found.sums, MAX_SMALL_BYTES) or b"")[0],
                    zip_path=found.zip,
                    may_be_moved=False,
                )
            except OSError as error:
                raise StorageError(f"read {error.filename}: {disk_reason(error)}") from error

    def lookups(self, database: str) -> dict[str, bytes]:
        """What the checksum database answered to lookups, by path below its name; raises `StorageError`."""
        files = {}
        for base in self._databases(database):
            for path in sorted((base / "lookup").rglob("*@*")):
                if path.is_file() and (data := _read(path, MAX_LOOKUP_BYTES)):
                    files[path.relative_to(base).as_posix()] = data
        return files

    def tiles(self, database: str) -> Mapping[str, bytes]:
        """Its tiles by path, read when they are asked for."""
        return _Tiles(self._databases(database))

    def _databases(self, database: str) -> list[Path]:
        places = (self.root / "sumdb", self.root / layout.RECORDS_DIR / "sumdb")
        return [place / database for place in places if (place / database).is_dir()]


def download_tree(folder: Path) -> DownloadTree:
    """What there is to import below a folder; blocks.

    Raises:
        StorageError: a folder cannot be read.
    """
    root = next((folder / cache for cache in _CACHE if (folder / cache).is_dir()), folder)
    versions: list[_Found] = []
    without_zip = 0

    def refuse(error: OSError) -> None:
        raise StorageError(f"read {error.filename}: {disk_reason(error)}") from error

    for place, folders, files in os.walk(root, onerror=refuse):
        folders[:] = sorted(name for name in folders if name not in _NOT_MODULES)
        here, names = Path(place), set(files)
        found = list((_in_cache if here.name == "@v" else _in_athens)(root, here, names))
        versions += [version for version in found if version.zip.name in names]
        without_zip += sum(version.zip.name not in names for version in found)
    return DownloadTree(root, tuple(versions), without_zip)


def _in_cache(root: Path, folder: Path, names: set[str]) -> Iterator[_Found]:
    escaped = folder.parent.relative_to(root).as_posix()
    for version in sorted({name.rpartition(".")[0] for name in names if name.endswith((".mod", ".zip"))}):
        try:
            wanted = ModuleVersion.from_escaped(ModulePath.from_escaped(escaped), version)
        except ModuleNotFound:
            continue
        if wanted.is_canonical:
            info, mod, zip_, sums = (folder / f"{version}.{kind}" for kind in ("info", "mod", "zip", "ziphash"))
            yield _Found(wanted, info, mod, zip_, sums)


def _in_athens(root: Path, folder: Path, names: set[str]) -> Iterator[_Found]:
    if layout.MOD_NAME not in names or f"{folder.name}.info" not in names:
        return
    try:
        path = ModulePath.parse(folder.parent.relative_to(root).as_posix())
        wanted = ModuleVersion.parse(path, folder.name)
    except ModuleNotFound:
        return
    if wanted.is_canonical:
        sums = root / layout.RECORDS_DIR / layout.h1_record(wanted)
        yield _Found(wanted, folder / f"{folder.name}.info", folder / layout.MOD_NAME, folder / layout.ZIP_NAME, sums)


class _Tiles(Mapping[str, bytes]):
    """The tiles below some folders."""

    def __init__(self, bases: list[Path]) -> None:
        self._bases = bases

    def __getitem__(self, path: str) -> bytes:
        for base in self._bases:
            if (base / path).is_file() and (data := _read(base / path, TILE_WIDTH * HASH_BYTES)):
                return data
        raise KeyError(path)

    def __iter__(self) -> Iterator[str]:
        for base in self._bases:
            yield from (path.relative_to(base).as_posix() for path in base.glob("tile/**/*") if path.is_file())

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _read(path: Path, at_most_bytes: int) -> bytes | None:
    """The content of a small file, None where there is none or where it is too large to be what it should be."""
    try:
        with path.open("rb") as file:
            data = file.read(at_most_bytes + 1)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    return data if len(data) <= at_most_bytes else None
