"""Which files of a disk store are known to be what was saved, and where those go that are not.

The whole zip is compared with its sum the first time that this process opens it, and again when the file has become
another one: its inode, size or times differ. After that a request costs nothing but the `fstat` it needs anyway. A
go.mod is small and compared at every read. Athens writes in place and keeps no sums: of what a crash left of its small
files, those that can only be left-overs are told by their look.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import uuid
from pathlib import Path
from typing import Final

from athens_proxy.errors import ModuleNotFound
from athens_proxy.modules import ModuleVersion
from athens_proxy.storage import layout
from athens_proxy.storage.disk_save import storage_errors
from athens_proxy.storage.disk_zip import is_whole
from athens_proxy.storage.sums import Sums
from athens_proxy.storage.zip_damage import is_the_recorded_file, recorded_sums, zip_damage

_MAX_KNOWN: Final = 100_000
_AT_ONCE: Final = 4
_BLANK: Final = b"\0 \t\r\n"  # what a crash leaves of a file that was written in place
_LOG = logging.getLogger(__name__)

Identity = tuple[int, int, int, int]


class SoundFiles:
    """What this process knows about the files below a root.

    Args:
        root: the store's folder.
        sums: how stored files are compared with what was saved.
    """

    def __init__(self, root: Path, sums: Sums) -> None:
        self._root = root
        self._sums = sums
        self._zips: dict[ModuleVersion, Identity] = {}
        self._mods: dict[ModuleVersion, str] = {}
        self._reading = asyncio.Semaphore(_AT_ONCE)

    async def require_zip(self, wanted: ModuleVersion, path: Path, descriptor: int) -> int:
        """The size of an open zip that is sound.

        Raises:
            ModuleNotFound: it is damaged; it was set aside.
            StorageError: the disk fails.
        """
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            self._set_aside(wanted, path, "it is no regular file")
            raise _damaged(wanted, path)
        if self._zips.get(wanted) != _identity(status):
            await self._judge_zip(wanted, path, descriptor, status)
        return status.st_size

    def saved(self, wanted: ModuleVersion, path: Path) -> None:
        """Note that the zip in this file has just been saved, and so is sound."""
        with storage_errors(f"look at the zip of {wanted}"):
            self._know(wanted, path.stat())

    def require_info(self, wanted: ModuleVersion, path: Path, data: bytes) -> None:
        """Look at both ends of an `.info`, which Athens writes in place; raises as `require_zip`."""
        text = data.strip(_BLANK)
        if not text or (text.startswith(b"{") and not text.endswith(b"}")):
            self._set_aside(wanted, path, "it is cut off")
            raise _damaged(wanted, path)

    def require_mod(self, wanted: ModuleVersion, path: Path, data: bytes) -> None:
        """Compare a go.mod with its sum; one whose sum nobody knows is not blank. Raises as `require_zip`."""
        found = self._sums.of_mod(data)
        if self._mods.get(wanted) == found:
            return
        recorded = recorded_sums(self._record(wanted))[1]
        if not recorded and not data.strip(_BLANK):
            self._set_aside(wanted, path, "it is empty")
            raise _damaged(wanted, path)
        if recorded not in ("", found):
            self._set_aside(wanted, path, f"it has {found} where {recorded} was saved")
            raise _damaged(wanted, path)
        if recorded:
            if len(self._mods) >= _MAX_KNOWN:
                del self._mods[next(iter(self._mods))]
            self._mods[wanted] = recorded

    async def _judge_zip(self, wanted: ModuleVersion, path: Path, descriptor: int, status: os.stat_result) -> None:
        async with self._reading:
            if self._zips.get(wanted) == _identity(status):  # another request has judged it meanwhile
                return
            with storage_errors(f"read the zip of {wanted}"):
                reason = await asyncio.to_thread(self._zip_damage, wanted, descriptor, status.st_size)
                if reason and _is_still(path, status):
                    self._set_aside(wanted, path, reason)
        if reason:
            raise _damaged(wanted, path)
        self._know(wanted, status)

    def _zip_damage(self, wanted: ModuleVersion, descriptor: int, size_bytes: int) -> str:
        if not is_whole(descriptor, size_bytes):
            return "it is cut off"
        opened = Path(f"/proc/self/fd/{descriptor}")  # the very file that will be served, whatever its name holds now
        record = self._record(wanted)
        if is_the_recorded_file(opened, record):
            return ""
        return zip_damage(opened, wanted, recorded_h1=recorded_sums(record)[0], sums=self._sums)

    def _know(self, wanted: ModuleVersion, status: os.stat_result) -> None:
        if len(self._zips) >= _MAX_KNOWN:
            del self._zips[next(iter(self._zips))]
        self._zips[wanted] = _identity(status)

    def _record(self, wanted: ModuleVersion) -> bytes:
        try:
            return (self._root / layout.RECORDS_DIR / layout.h1_record(wanted)).read_bytes()
        except OSError:
            return b""

    def _set_aside(self, wanted: ModuleVersion, path: Path, reason: str) -> None:
        """Take a damaged file out of the version, but not off the disk: it counts as evicted and is fetched again."""
        name = "info.json" if path.suffix == ".info" else path.name  # no `.info` of ours may look like a version's
        aside = self._root / layout.RECORDS_DIR / layout.damaged_file(wanted, name, uuid.uuid4().hex[:8])
        with storage_errors(f"set the damaged {path.name} of {wanted} aside"):
            aside.parent.mkdir(parents=True, exist_ok=True)
            path.rename(aside)
        _LOG.warning(
            "the stored %s of %s is damaged: %s; it was moved to %s and will be fetched again",
            path.name,
            wanted,
            reason,
            aside,
        )


def _damaged(wanted: ModuleVersion, path: Path) -> ModuleNotFound:
    return ModuleNotFound(f"not found: the stored {path.name} of {wanted} was damaged")


def _is_still(path: Path, judged: os.stat_result) -> bool:
    """Whether the name still stands for the file that was judged: a save may have put a good one there."""
    try:
        return _identity(path.stat()) == _identity(judged)
    except FileNotFoundError:
        return False


def _identity(status: os.stat_result) -> Identity:
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
