"""A zip on disk, streamed without blocking the event loop on a disk that has to move."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

from athens_proxy.errors import StorageError
from athens_proxy.storage.storage import CHUNK_BYTES
from athens_proxy.storage.zip_end import LONG_END_BYTES, SHORT_END_BYTES, ends_as_zip


def is_whole(descriptor: int, size_bytes: int) -> bool:
    """Whether the file ends as a zip does; cheap enough for every request."""
    return any(
        ends_as_zip(os.pread(descriptor, tail_bytes, max(0, size_bytes - tail_bytes)), size_bytes)
        for tail_bytes in (SHORT_END_BYTES, LONG_END_BYTES)
    )


class DiskZip:
    """One open file; it stays readable even when the version is deleted meanwhile.

    Args:
        descriptor: an open file descriptor, which this object closes.
        size_bytes: its size when it was opened.
        name: the module version, for messages.
    """

    def __init__(self, descriptor: int, *, size_bytes: int, name: str) -> None:
        self._descriptor = descriptor
        self._size_bytes = size_bytes
        self._name = name

    @property
    def size_bytes(self) -> int:
        """Size of the whole zip."""
        return self._size_bytes

    @property
    def descriptor(self) -> int:
        """The open file, for those who can send it without reading it."""
        return self._descriptor

    async def chunks(self, *, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of a range in chunks of at most `CHUNK_BYTES`.

        Raises:
            StorageError: the file ended early or cannot be read.
        """
        end = self._size_bytes if length is None else min(self._size_bytes, offset + length)
        while offset < end:
            chunk = await self._read(min(CHUNK_BYTES, end - offset), offset)
            if not chunk:
                raise StorageError(f"read the zip of {self._name}: the file ends at byte {offset}, before its size")
            offset += len(chunk)
            yield chunk

    async def _read(self, size_bytes: int, offset: int) -> bytes:
        """From the page cache at once; from the disk itself in a thread."""
        try:
            return self._read_cached(size_bytes, offset) or await asyncio.to_thread(
                os.pread, self._descriptor, size_bytes, offset
            )
        except OSError as error:
            raise StorageError(f"read the zip of {self._name}: {error.strerror}") from error

    def _read_cached(self, size_bytes: int, offset: int) -> bytes:
        buffer = bytearray(size_bytes)
        try:
            count = os.preadv(self._descriptor, [buffer], offset, os.RWF_NOWAIT)
        except OSError:  # not in the page cache (EAGAIN), or a file system without such reads (EOPNOTSUPP)
            return b""
        return bytes(memoryview(buffer)[:count])

    async def __aenter__(self) -> DiskZip:
        """Return itself."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the file."""
        os.close(self._descriptor)
