"""Clones that the runs of the go command share, so that another version of a repository costs only its own objects.

`go` keeps clones in `$GOMODCACHE/cache/vcs` and locks each of them; a run's own module cache links to a folder here.
There is one folder for each origin (the first elements of a module path), thrown away when it is unused and room is
short, or when a run in it failed: one that was killed may have left git's lock files. All of them belong to one
process, which has one set of credentials, and go with it.

Source: cmd/go/internal/modfetch/codehost/codehost.go (WorkDir)
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from athens_proxy.errors import ModuleNotFound
from athens_proxy.modules import ModulePath
from athens_proxy.upstream.quota import held_bytes
from athens_proxy.upstream.transport import scratch_failure, scratch_folder

MAX_BYTES: Final = 2 * 1024 * 1024 * 1024
_ORIGIN_ELEMENTS: Final = 3  # host/user/repository


@dataclass(slots=True)
class _Clones:
    """The folder of one origin.

    Attributes:
        users: runs that are in it now.
        size_bytes: of its files after the last run.
        is_spoilt: no further run may use it.
    """

    folder: Path
    users: int = 0
    size_bytes: int = 0
    is_spoilt: bool = False


class VcsCache:
    """Folders of clones, least recently used ones dropped first.

    Args:
        root: an existing folder of this process alone.
        max_bytes: what the folders that nobody uses may hold together with those in use.
    """

    def __init__(self, root: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._by_origin: OrderedDict[str, _Clones] = OrderedDict()
        self._numbers = itertools.count()

    @asynccontextmanager
    async def clones(self, path: ModulePath) -> AsyncIterator[Path]:
        """The folder for the module's origin; it stays at least while the context is open.

        Raises:
            StorageError: it cannot be made.
        """
        origin = "/".join(path.text.split("/")[:_ORIGIN_ELEMENTS])
        clones = self._usable(origin)
        clones.users += 1
        try:
            yield clones.folder
        except ModuleNotFound:
            raise
        except BaseException:
            clones.is_spoilt = True
            raise
        finally:
            clones.users -= 1
            await asyncio.shield(self._tidied(origin, clones))

    def _usable(self, origin: str) -> _Clones:
        clones = self._by_origin.get(origin)
        # Whatever tidies folders of temporary files up may have taken ours.
        if clones is None or clones.is_spoilt or not clones.folder.is_dir():
            clones = _Clones(self._root / str(next(self._numbers)))
            try:
                self._root.mkdir(mode=0o700, exist_ok=True)
                clones.folder.mkdir()
                os.utime(self._root)  # left-overs are swept by their age
            except OSError as error:
                raise scratch_failure(error, clones.folder) from error
            self._by_origin[origin] = clones
        self._by_origin.move_to_end(origin)
        return clones

    async def _tidied(self, origin: str, clones: _Clones) -> None:
        if clones.is_spoilt:
            if self._by_origin.get(origin) is clones:
                del self._by_origin[origin]
            dropped = [] if clones.users else [clones]
        else:
            clones.size_bytes = await asyncio.to_thread(held_bytes, clones.folder)
            dropped = self._surplus()
        for each in dropped:
            await asyncio.to_thread(shutil.rmtree, each.folder, ignore_errors=True)

    def _surplus(self) -> list[_Clones]:
        """The least recently used folders beyond the limit, no longer to be found."""
        held_bytes = sum(clones.size_bytes for clones in self._by_origin.values())
        dropped = []
        for origin, clones in list(self._by_origin.items()):
            if held_bytes <= self._max_bytes:
                break
            if not clones.users:
                held_bytes -= clones.size_bytes
                dropped.append(self._by_origin.pop(origin))
        return dropped


@asynccontextmanager
async def open_vcs_cache(scratch_root: Path) -> AsyncIterator[VcsCache]:
    """An empty cache below a folder, removed when the context ends.

    Raises:
        StorageError: nothing can be written there.
    """
    root = await scratch_folder(scratch_root, "athens-vcs-")
    try:
        yield VcsCache(root)
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, root, ignore_errors=True))
