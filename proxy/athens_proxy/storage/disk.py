"""The disk store: Athens' folders, our commit rule.

Small files are read on the event loop: they come from the page cache, and a hop to a thread costs more than the read.
Everything that can take long (saving, walking) runs in a thread.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import uuid
from pathlib import Path
from typing import NoReturn

from athens_policy import semver
from athens_proxy.errors import ModuleNotFound, StorageError
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.modules.names import canonical_version
from athens_proxy.storage import layout
from athens_proxy.storage.disk_catalog import catalog_page
from athens_proxy.storage.disk_save import DiskSaver, storage_errors
from athens_proxy.storage.disk_zip import DiskZip, is_whole
from athens_proxy.storage.storage import CatalogPage, FetchedModule
from athens_proxy.storage.sums import Sums

_LOG = logging.getLogger(__name__)
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP})


class DiskStorage:
    """A `Storage` below one folder.

    Args:
        root: an existing folder that this process may write; see `open_disk_storage`.
        sums: how stored files are compared with fetched ones.
    """

    def __init__(self, root: Path, *, sums: Sums) -> None:
        self._root = root
        self._saver = DiskSaver(root, sums)

    @property
    def scratch(self) -> Path:
        """A folder on the store's file system: what is fetched there is moved into the store, not copied."""
        return self._saver.tmp

    async def info(self, wanted: ModuleVersion) -> bytes:
        """The `.info` file; see `Storage.info`."""
        return self._read(wanted, layout.info_file(self._root, wanted))

    async def mod(self, wanted: ModuleVersion) -> bytes:
        """The `.mod` file; see `Storage.mod`."""
        self._require_committed(wanted)
        return self._read(wanted, layout.version_dir(self._root, wanted) / layout.MOD_NAME)

    async def open_zip(self, wanted: ModuleVersion) -> DiskZip:
        """The zip, opened; see `Storage.open_zip`."""
        self._require_committed(wanted)
        path = layout.version_dir(self._root, wanted) / layout.ZIP_NAME
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise _read_error(wanted, error) from error
        size_bytes = os.fstat(descriptor).st_size
        if not is_whole(descriptor, size_bytes):
            os.close(descriptor)
            self._set_aside(wanted, path)
        return DiskZip(descriptor, size_bytes=size_bytes, name=str(wanted))

    async def versions(self, path: ModulePath) -> list[str]:
        """Complete canonical versions in semver order; see `Storage.versions`."""
        with storage_errors(f"list the stored versions of {path}"):
            names = await asyncio.to_thread(self._committed_names, path)
        return sorted((name for name in names if canonical_version(name) == name), key=semver.sort_key)

    async def save(self, fetched: FetchedModule) -> None:
        """Commit a version; see `Storage.save`."""
        await asyncio.to_thread(self._saver.save, fetched)

    async def delete(self, wanted: ModuleVersion) -> None:
        """Remove a version, its `.info` first; see `Storage.delete`."""
        self._require_committed(wanted)
        with storage_errors(f"delete {wanted}"):
            await asyncio.to_thread(self._delete, wanted)

    async def catalog(self, *, token: str, limit: int) -> CatalogPage:
        """One page of what is stored; see `Storage.catalog`."""
        with storage_errors("walk the store"):
            return await asyncio.to_thread(catalog_page, self._root, token=token, limit=limit)

    async def read_record(self, name: str) -> bytes:
        """One of our own records; see `Storage.read_record`."""
        parts = layout.record_parts(name)
        try:
            return self._root.joinpath(layout.RECORDS_DIR, *parts).read_bytes()
        except OSError as error:
            raise _read_error(f"record {name}", error) from error

    async def write_record(self, name: str, data: bytes) -> None:
        """Replace one of our own records; see `Storage.write_record`."""
        await asyncio.to_thread(self._saver.write_record, name, data)

    async def check(self) -> None:
        """Write and remove an empty file; see `Storage.check`."""
        await asyncio.to_thread(self._saver.probe)

    async def close(self) -> None:
        """Nothing is kept open."""

    def _read(self, wanted: ModuleVersion, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise _read_error(wanted, error) from error

    def _set_aside(self, wanted: ModuleVersion, path: Path) -> NoReturn:
        """Take a zip that is cut off out of the store: it counts as evicted and is fetched again under its `h1:`."""
        aside = self._saver.tmp / f"damaged-{uuid.uuid4().hex}.zip"
        with storage_errors(f"set the damaged zip of {wanted} aside"):
            path.rename(aside)
        _LOG.warning("the stored zip of %s is damaged; it was moved to %s and will be fetched again", wanted, aside)
        raise ModuleNotFound(f"not found: the stored zip of {wanted} was damaged")

    def _require_committed(self, wanted: ModuleVersion) -> None:
        try:
            layout.info_file(self._root, wanted).stat()
        except OSError as error:
            raise _read_error(wanted, error) from error

    def _committed_names(self, path: ModulePath) -> list[str]:
        folder = layout.module_dir(self._root, path)
        try:
            with os.scandir(folder) as entries:
                names = [entry.name for entry in entries if entry.is_dir()]
        except OSError as error:
            if error.errno in _ABSENT:
                return []
            raise
        return [name for name in names if (folder / name / f"{name}.info").is_file()]

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


def _read_error(what: object, error: OSError) -> ModuleNotFound | StorageError:
    if error.errno in _ABSENT:
        return ModuleNotFound(f"not found: {what} is not stored")
    return StorageError(f"read {what} from disk: {error.strerror}")


def open_disk_storage(root: Path, *, sums: Sums, create: bool) -> DiskStorage:
    """A store that can be written, with the left-overs of killed saves swept.

    Args:
        root: the store's folder.
        sums: how stored files are compared with fetched ones.
        create: make the folder if it is missing.

    Raises:
        StorageError: the folder does not exist or cannot be written.
    """
    with storage_errors(f"open the disk storage {root}"):
        if create:
            root.mkdir(parents=True, exist_ok=True)
        if not root.is_dir():
            raise StorageError(f"open the disk storage {root}: it is not an existing folder; create it")
        saver = DiskSaver(root, sums)
        saver.prepare()
    saver.probe()
    return DiskStorage(root, sums=sums)
