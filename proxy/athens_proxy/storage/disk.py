"""The disk store: Athens' folders, our commit rule.

Small files are read on the event loop: they come from the page cache, and a hop to a thread costs more than the read.
Everything that can take long (saving, walking) runs in a thread.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import tempfile
from pathlib import Path

from athens_policy import semver
from athens_proxy.errors import ModuleNotFound, StorageError
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.modules.names import canonical_version
from athens_proxy.storage import layout
from athens_proxy.storage.disk_catalog import catalog_page
from athens_proxy.storage.disk_presence import DiskPresence
from athens_proxy.storage.disk_save import DiskSaver, disk_reason, storage_errors
from athens_proxy.storage.disk_sound import SoundFiles
from athens_proxy.storage.disk_zip import DiskZip
from athens_proxy.storage.storage import CatalogPage, FetchedModule, StoredSizes
from athens_proxy.storage.sums import Sums

_LOG = logging.getLogger(__name__)
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP})


class DiskStorage:
    """A `Storage` below one folder.

    Args:
        root: an existing folder; see `open_disk_storage`.
        sums: how stored files are compared with fetched ones.
        is_written: this process may write there.
        is_only_source: see `DiskPresence`.
    """

    def __init__(self, root: Path, *, sums: Sums, is_written: bool = True, is_only_source: bool = False) -> None:
        self._root = root
        self._presence = DiskPresence(root, is_only_source=is_only_source)
        self._is_written = is_written
        self._saver = DiskSaver(root, sums)
        self._sound = SoundFiles(root, sums)

    @property
    def scratch(self) -> Path:
        """A folder on the store's file system: what is fetched there is moved into the store, not copied."""
        return self._saver.tmp if self._is_written else Path(tempfile.gettempdir())

    async def info(self, wanted: ModuleVersion) -> bytes:
        """The `.info` file; see `Storage.info`."""
        path = layout.info_file(self._root, wanted)
        data = self._read(wanted, path)
        if not data:  # left by a crash of Athens, which writes in place
            raise self._absence(wanted)
        self._sound.require_info(wanted, path, data)
        return data

    async def mod(self, wanted: ModuleVersion) -> bytes:
        """The `.mod` file; see `Storage.mod`."""
        self._require_committed(wanted)
        path = layout.version_dir(self._root, wanted) / layout.MOD_NAME
        data = self._read(wanted, path)
        self._sound.require_mod(wanted, path, data)
        return data

    async def open_zip(self, wanted: ModuleVersion) -> DiskZip:
        """The zip, opened; see `Storage.open_zip`."""
        self._require_committed(wanted)
        path = layout.version_dir(self._root, wanted) / layout.ZIP_NAME
        try:
            descriptor = _open_at_once(path)
        except OSError as error:
            raise self._failure(wanted, error) from error
        try:
            size_bytes = await self._sound.require_zip(wanted, path, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return DiskZip(descriptor, size_bytes=size_bytes, name=str(wanted))

    async def versions(self, path: ModulePath) -> list[str]:
        """Complete canonical versions in semver order; see `Storage.versions`."""
        with storage_errors(f"list the stored versions of {path}"):
            names = await asyncio.to_thread(self._committed_names, path)
        return sorted((name for name in names if canonical_version(name) == name), key=semver.sort_key)

    async def save(self, fetched: FetchedModule) -> None:
        """Commit a version; see `Storage.save`."""
        await asyncio.to_thread(self._saver.save, fetched, on_zip=self._sound.saved)

    async def delete(self, wanted: ModuleVersion) -> None:
        """Remove a version, its `.info` first; see `Storage.delete`."""
        self._require_committed(wanted)
        with storage_errors(f"delete {wanted}"):
            await asyncio.to_thread(self._delete, wanted)

    async def delete_zip(self, wanted: ModuleVersion) -> None:
        """Remove a version's zip; see `Storage.delete_zip`."""
        self._require_committed(wanted)
        await asyncio.to_thread(self._saver.delete_zip, wanted)

    async def sizes(self, wanted: ModuleVersion) -> StoredSizes:
        """How large the files of a version are; see `Storage.sizes`."""
        self._require_committed(wanted)
        with storage_errors(f"look at the files of {wanted}"):
            return await asyncio.to_thread(self._sizes, wanted)

    async def catalog(self, *, token: str, limit: int) -> CatalogPage:
        """One page of what is stored; see `Storage.catalog`."""
        with storage_errors("walk the store"):
            page = await asyncio.to_thread(catalog_page, self._root, token=token, limit=limit)
        if not page.entries:
            self._presence.require("walk the store")
        return page

    async def read_record(self, name: str) -> bytes:
        """One of our own records; see `Storage.read_record`."""
        parts = layout.record_parts(name)
        try:
            return self._root.joinpath(layout.RECORDS_DIR, *parts).read_bytes()
        except OSError as error:
            raise _record_failure(name, error) from error

    async def write_record(self, name: str, data: bytes) -> None:
        """Replace one of our own records; see `Storage.write_record`."""
        await asyncio.to_thread(self._saver.write_record, name, data)

    async def check(self) -> None:
        """Write and remove an empty file, or look at the root of what is only read; see `Storage.check`."""
        if self._is_written:
            await asyncio.to_thread(self._saver.probe)
            return
        with storage_errors(f"read {self._root}"):
            await asyncio.to_thread(os.listdir, self._root)

    async def close(self) -> None:
        """Nothing is kept open."""

    def _read(self, wanted: ModuleVersion, path: Path) -> bytes:
        try:
            return _content(path)
        except OSError as error:
            raise self._failure(wanted, error) from error

    def _require_committed(self, wanted: ModuleVersion) -> None:
        try:
            is_committed = layout.is_commit_mark(layout.info_file(self._root, wanted))
        except OSError as error:
            raise self._failure(wanted, error) from error
        if not is_committed:
            raise self._absence(wanted)

    def _failure(self, wanted: ModuleVersion, error: OSError) -> ModuleNotFound | StorageError:
        if error.errno in _ABSENT:
            return self._absence(wanted)
        return StorageError(f"read {wanted} from disk: {disk_reason(error)}")

    def _absence(self, wanted: ModuleVersion) -> ModuleNotFound | StorageError:
        """What to raise about a version that is not there: the disk itself may be gone."""
        try:
            self._presence.require(f"read {wanted} from disk")
        except StorageError as error:
            return error
        return ModuleNotFound(f"not found: {wanted} is not stored")

    def _committed_names(self, path: ModulePath) -> list[str]:
        folder = layout.module_dir(self._root, path)
        try:
            with os.scandir(folder) as entries:
                folders = [(entry.name, entry.path) for entry in entries if not entry.is_file(follow_symlinks=False)]
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
            self._presence.require(f"list the stored versions of {path}")
            return []
        return [name for name, inside in folders if layout.is_commit_mark(f"{inside}/{name}.info")]

    def _sizes(self, wanted: ModuleVersion) -> StoredSizes:
        folder = layout.version_dir(self._root, wanted)
        info, mod, zip_bytes = (
            _size_of(folder / name) for name in (f"{wanted.version}.info", layout.MOD_NAME, layout.ZIP_NAME)
        )
        return StoredSizes(zip_bytes, (info or 0) + (mod or 0))

    def _delete(self, wanted: ModuleVersion) -> None:
        folder = layout.version_dir(self._root, wanted)
        for name in (f"{wanted.version}.info", layout.ZIP_NAME, layout.MOD_NAME):
            (folder / name).unlink(missing_ok=True)
        record = self._root / layout.RECORDS_DIR / layout.h1_record(wanted)
        record.unlink(missing_ok=True)
        try:
            folder.rmdir()
        except OSError as error:  # another module may lie below a folder of this name
            if error.errno != errno.ENOTEMPTY:
                raise


def _open_at_once(path: Path) -> int:
    """Open for reading, not waiting for the other end of a pipe that somebody has put in the place of a file."""
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK)


def _content(path: Path) -> bytes:
    descriptor = _open_at_once(path)
    try:
        with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
            return file.read() or b""
    finally:
        os.close(descriptor)


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _record_failure(name: str, error: OSError) -> ModuleNotFound | StorageError:
    if error.errno in _ABSENT:
        return ModuleNotFound(f"not found: record {name} is not stored")
    return StorageError(f"read record {name} from disk: {disk_reason(error)}")


def open_disk_storage(root: Path, *, sums: Sums, create: bool, is_only_source: bool = False) -> DiskStorage:
    """A store that can be written, with the left-overs of killed saves swept.

    Args:
        root: the store's folder.
        sums: how stored files are compared with fetched ones.
        create: make the folder if it is missing.
        is_only_source: nothing is fetched, so that a folder that can only be read will do (a warning says so), and one
            that is empty all of a sudden is an error; see `DiskPresence`.

    Raises:
        StorageError: the folder does not exist or cannot be written.
    """
    with storage_errors(f"open the disk storage {root}"):
        if create:
            root.mkdir(parents=True, exist_ok=True)
        if not root.is_dir():
            raise StorageError(f"open the disk storage {root}: it is not an existing folder; create it")
    saver = DiskSaver(root, sums)
    try:
        with storage_errors(f"open the disk storage {root}"):
            saver.prepare()
        saver.probe()
    except StorageError as error:
        if not is_only_source:
            raise
        _LOG.warning("%s; until the next start the store is only read", error)
        return DiskStorage(root, sums=sums, is_written=False, is_only_source=True)
    return DiskStorage(root, sums=sums, is_only_source=is_only_source)
