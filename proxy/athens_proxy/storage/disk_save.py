"""Saving on disk so that a kill at any moment leaves a whole version or none; blocking, for a worker thread.

Everything is written under a temporary name on the same file system, forced to disk and renamed; the `.info` is
renamed last. A lock on the folder of the version keeps two processes that share the disk from mixing their files; the
kernel drops it with its owner.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from athens_proxy.errors import ChecksumMismatch, InvalidModuleZip, StorageError, StorageFull
from athens_proxy.modules import ModuleVersion
from athens_proxy.storage import layout
from athens_proxy.storage.storage import LEFTOVER_AGE_S, FetchedModule
from athens_proxy.storage.sums import Sums
from athens_proxy.storage.zip_damage import digest_line, recorded_sums

COPY_BYTES = 1024 * 1024
_NEXT_STEPS: Final = {
    errno.EROFS: "; mount it so that it can be written",
    errno.EACCES: "; let the user of this process write there",
    errno.EPERM: "; let the user of this process write there",
    errno.EIO: "; see the system's log and replace the disk",
    errno.ESTALE: "; the network file system went away: mount it again",
}
OnZip = Callable[[ModuleVersion, Path], None]


@contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Operating system errors as ours; `doing` says what was attempted on what."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"{doing}: no space is left; enlarge the disk or delete versions") from error
        raise StorageError(f"{doing}: {disk_reason(error)}") from error


def disk_reason(error: OSError) -> str:
    """Why the disk failed, and what to do about it where that is known."""
    return f"{error.strerror or error}{_NEXT_STEPS.get(error.errno or 0, '')}"


class DiskSaver:
    """Puts versions and records below a root.

    Args:
        root: the store's folder.
        sums: used to compare a version that is fetched again with the stored one.
    """

    def __init__(self, root: Path, sums: Sums) -> None:
        self._root = root
        self._tmp = root / layout.RECORDS_DIR / "tmp"
        self._sums = sums

    def prepare(self) -> None:
        """Make the folder for temporary files and sweep what killed saves left there."""
        self._tmp.mkdir(parents=True, exist_ok=True)
        oldest = time.time() - LEFTOVER_AGE_S
        for leftover in self._tmp.iterdir():
            with suppress(FileNotFoundError):
                if leftover.lstat().st_mtime < oldest:
                    _remove(leftover)

    @property
    def tmp(self) -> Path:
        """For temporary files that shall be moved into the store without copying; swept at the next start."""
        return self._tmp

    def save(self, fetched: FetchedModule, *, on_zip: OnZip) -> None:
        """Commit a version; a stored one is completed if files are missing, and never changed otherwise.

        Args:
            fetched: the version.
            on_zip: told of the file of a zip that was put into the store.

        Raises:
            ChecksumMismatch: other bytes are stored.
            StorageError: the disk refuses.
        """
        with storage_errors(f"save {fetched.wanted} on disk"):
            folder = layout.version_dir(self._root, fetched.wanted)
            self._make(folder)
            with _locked(folder) as descriptor:
                self._commit(fetched, folder, descriptor, on_zip)

    def delete_zip(self, wanted: ModuleVersion) -> None:
        """Remove the zip of a version, never beside a save of it.

        Raises:
            StorageError: the disk refuses.
        """
        folder = layout.version_dir(self._root, wanted)
        with storage_errors(f"delete the zip of {wanted}"), suppress(FileNotFoundError), _locked(folder):
            (folder / layout.ZIP_NAME).unlink(missing_ok=True)

    def write_record(self, name: str, data: bytes) -> None:
        """Replace a record atomically."""
        with storage_errors(f"write record {name}"):
            target = self._root.joinpath(layout.RECORDS_DIR, *layout.record_parts(name))
            self._make(target.parent)
            with self._staged(data) as staged:
                staged.rename(target)

    def probe(self) -> None:
        """Write and remove an empty file."""
        with storage_errors(f"write to {self._root}"), self._staged(b""):
            pass

    def _make(self, folder: Path) -> None:
        """A folder below the root; a root that vanished is not ours to make."""
        os.stat(self._root)
        folder.mkdir(parents=True, exist_ok=True)

    def _commit(self, fetched: FetchedModule, folder: Path, descriptor: int, on_zip: OnZip) -> None:
        mod, zip_file = folder / layout.MOD_NAME, folder / layout.ZIP_NAME
        info = folder / f"{fetched.wanted.version}.info"
        is_committed = layout.is_commit_mark(info)
        if is_committed:
            self._refuse_other_bytes(fetched, mod, zip_file)
            if mod.exists() and zip_file.exists():
                return
        record = f"{fetched.zip_h1}\n{fetched.mod_h1}\n{digest_line(fetched.zip_path)}\n"
        self.write_record(layout.h1_record(fetched.wanted), record.encode())
        with self._staged(fetched.mod) as staged_mod, self._staged_zip(fetched.zip_path) as staged_zip:
            staged_zip.rename(zip_file)
            staged_mod.rename(mod)
            os.fsync(descriptor)
        on_zip(fetched.wanted, zip_file)
        if not is_committed:
            with self._staged(fetched.info) as staged_info:
                staged_info.rename(info)
            os.fsync(descriptor)

    def _refuse_other_bytes(self, fetched: FetchedModule, mod: Path, zip_file: Path) -> None:
        zip_h1, mod_h1 = self._recorded(fetched)
        if mod.exists():
            mod_h1 = self._sums.of_mod(mod.read_bytes())
        if mod_h1 and mod_h1 != fetched.mod_h1:
            self._mismatch(fetched, "go.mod", fetched.mod_h1, mod_h1)
        stored = self._stored_zip_h1(fetched, zip_file) if zip_file.exists() else zip_h1
        if stored and stored != fetched.zip_h1:
            self._mismatch(fetched, "zip", fetched.zip_h1, stored)

    def _stored_zip_h1(self, fetched: FetchedModule, zip_file: Path) -> str:
        if _same_bytes(zip_file, fetched.zip_path):
            return fetched.zip_h1
        try:
            return self._sums.of_zip(zip_file, fetched.wanted)
        except InvalidModuleZip:
            return "no valid content"

    def _recorded(self, fetched: FetchedModule) -> tuple[str, str]:
        """The sums that zip and go.mod must keep when they are fetched again; "" if nobody knows."""
        record = self._root / layout.RECORDS_DIR / layout.h1_record(fetched.wanted)
        return recorded_sums(record.read_bytes() if record.exists() else b"")

    def _mismatch(self, fetched: FetchedModule, what: str, got: str, stored: str) -> None:
        raise ChecksumMismatch(
            f"{fetched.wanted}: checksum mismatch: the fetched {what} has {got}, the stored one {stored};"
            " the stored one is kept"
        )

    @contextmanager
    def _staged(self, data: bytes) -> Iterator[Path]:
        """A temporary file with these bytes, on disk; removed unless it was renamed."""
        path = self._tmp / uuid.uuid4().hex
        try:
            with path.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield path
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def _staged_zip(self, source: Path) -> Iterator[Path]:
        """The fetched zip on our file system, on disk: moved if it is there already, else copied in chunks."""
        path = self._tmp / uuid.uuid4().hex
        try:
            try:
                source.rename(path)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                _copy(source, path)
            with path.open("rb") as file:
                os.fsync(file.fileno())
            path.chmod(0o644)
            yield path
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """An open descriptor of the folder of a version, which no other process holds locked meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _remove(leftover: Path) -> None:
    if leftover.is_dir() and not leftover.is_symlink():
        shutil.rmtree(leftover, ignore_errors=True)
    else:
        leftover.unlink()


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(COPY_BYTES):
            writer.write(chunk)


def _same_bytes(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as first, other.open("rb") as second:
        while chunk := first.read(COPY_BYTES):
            if chunk != second.read(COPY_BYTES):
                return False
    return True
