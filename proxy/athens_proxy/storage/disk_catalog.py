"""The catalogue of a disk store: a lazy walk in lexical order that starts after a token; blocking, for a worker thread.

Symbolic links to folders are served when asked for, but not walked, as in Athens: a link could lead in a circle. What
lies beside the modules (a file system's `lost+found`, which only root may read, or `.snapshot`) is not looked into.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from athens_proxy.errors import StorageError
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.storage import layout
from athens_proxy.storage.disk_save import disk_reason
from athens_proxy.storage.layout import EntryKey
from athens_proxy.storage.storage import CatalogPage, InvalidToken


def catalog_page(root: Path, *, token: str, limit: int) -> CatalogPage:
    """At most `limit` entries after `token`; only folders on the way to the token and behind it are read.

    Raises:
        InvalidToken: the token is not `module|version`.
        StorageError: a folder cannot be read.
    """
    try:
        after = layout.token_key(token)
    except ValueError as error:
        raise InvalidToken(f"token {token!r}: {error}") from error
    entries = tuple(islice(_entries(_below(str(root), (), after, _Folder.read(str(root)))), limit + 1))
    if len(entries) <= limit:
        return CatalogPage(entries, "")
    return CatalogPage(entries[:limit], layout.token_of(entries[limit - 1]))


def _entries(keys: Iterator[EntryKey]) -> Iterator[ModuleVersion]:
    """The versions at these keys; the path of a module is parsed once for all of its versions."""
    elements: EntryKey | None = None
    path: ModulePath | None = None
    for key in keys:
        if key[:-1] != elements:
            elements, path = key[:-1], layout.path_at(key[:-1])
        if path is not None:
            yield ModuleVersion(path, key[-1])


class _Folder:
    """One folder, read once: its subfolders in order, and the names of its other entries."""

    __slots__ = ("files", "folders")

    def __init__(self, folders: list[str], files: set[str]) -> None:
        self.folders = folders
        self.files = files

    @classmethod
    def read(cls, path: str) -> _Folder:
        folders: list[str] = []
        files: set[str] = set()
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.name)
                    elif _is_file(entry):
                        files.add(entry.name)
        except FileNotFoundError:  # deleted while we walk
            pass
        except OSError as error:
            raise StorageError(f"walk the store: read {path}: {disk_reason(error)}") from error
        folders.sort()
        return cls(folders, files)


def _below(path: str, key: EntryKey, after: EntryKey, folder: _Folder) -> Iterator[EntryKey]:
    """Keys below a folder that come after `after`, which is relative to that folder."""
    first = after[0] if after else ""
    for name in folder.folders[bisect_left(folder.folders, first) :]:
        if not key and not layout.may_begin_a_path(name):
            continue
        here, there = (*key, name), f"{path}/{name}"
        inner = _Folder.read(there)
        is_on_the_way = bool(after) and name == first
        if not is_on_the_way and f"{name}.info" in inner.files and layout.is_commit_mark(f"{there}/{name}.info"):
            yield here
        if inner.folders:
            yield from _below(there, here, after[1:] if is_on_the_way else (), inner)


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads in a circle, or where we may not go
        if entry.is_symlink():
            return False
        raise
