"""How the files of a module proxy are read, whatever carries them: HTTP (`http.py`) or a directory (`file.py`)."""

from __future__ import annotations

import asyncio
import errno
import uuid
from pathlib import Path
from typing import Final, Protocol

from athens_proxy.errors import StorageError, StorageFull

_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class ProxyTransport(Protocol):
    """Reads files below a module proxy's base by their escaped, relative path (`example.com/m/@v/list`).

    Both methods raise:
        ModuleNotFound: there is no such file.
        UpstreamDenied, UpstreamError, UpstreamThrottled, UpstreamTimeout: see `errors.py`.
    """

    async def read(self, path: str, *, at_most_bytes: int) -> bytes:
        """The whole of a small file.

        Raises:
            BadUpstreamAnswer: it is larger than `at_most_bytes`.
        """

    async def download(self, path: str, into: Path, *, at_most_bytes: int) -> int:
        """Write a large file to a path that does not exist yet; returns its size in bytes.

        There is no total deadline; only a stop of progress ends it.

        Raises:
            BadUpstreamAnswer: it is larger than `at_most_bytes`, or shorter than announced.
        """


async def scratch_folder(root: Path, prefix: str) -> Path:
    """A new folder for temporary files, which the caller removes.

    Raises:
        StorageError: it cannot be made.
    """
    scratch = scratch_name(root, prefix)
    await asyncio.to_thread(make_scratch, scratch)
    return scratch


def scratch_name(root: Path, prefix: str) -> Path:
    """The path of a folder for temporary files that does not exist yet."""
    return root / f"{prefix}{uuid.uuid4().hex}"


def make_scratch(scratch: Path) -> None:
    """Make a folder for temporary files unless it is there; blocks for one system call.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        try:
            scratch.mkdir(mode=0o700, exist_ok=True)
        except FileNotFoundError:
            # Somebody has emptied the store, its folders for these included; its root is not ours to make.
            for folder in (scratch.parent.parent, scratch.parent, scratch):
                folder.mkdir(mode=0o700 if folder is scratch else 0o777, exist_ok=True)
    except OSError as error:
        raise _failure(error, f"making a temporary folder in {scratch.parent}") from error


def scratch_failure(error: OSError, into: Path) -> StorageError:
    """The error for a temporary file that cannot be written: ours, not the upstream's."""
    return _failure(error, f"writing the temporary file {into.name} in {into.parent}")


def _failure(error: OSError, attempt: str) -> StorageError:
    if error.errno in _NO_SPACE:
        return StorageFull(f"{attempt}: no space left; free space there or choose another directory for fetches")
    reason = error.strerror or type(error).__name__
    return StorageError(f"{attempt}: {reason}; make that folder writable, or choose another directory for fetches")
