"""A part of a file from the page cache to a socket, without a copy in this process.

uvloop has no `loop.sendfile`, and aiohttp's answer to that is a thread per chunk. So the system call is made here, on a
second descriptor of the connection's socket, which the loop can watch beside the transport's own. What a slow reader
has not taken yet stays in the file: nothing is held for it but the socket's buffer.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final, Protocol, TypeGuard

from athens_proxy.errors import StorageError
from athens_proxy.storage.storage import StoredZip

CHUNK_BYTES: Final = 1 << 20  # sent in one turn of the loop, so that other clients have theirs
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_LOOK_EVERY_S: Final = 1.0  # whether the connection was closed while its reader takes nothing


class FileZip(Protocol):
    """A stored zip that is one open file.

    Attributes:
        descriptor: of the file, open as long as the zip is.
    """

    @property
    def descriptor(self) -> int:
        """A file descriptor that can be read."""


def is_file(stored: StoredZip | FileZip) -> TypeGuard[FileZip]:
    """Whether a stored zip can be sent by `send_file`."""
    return hasattr(stored, "descriptor")


def takes_files(transport: asyncio.BaseTransport) -> bool:
    """Whether what is written to the socket arrives as it is: with TLS the bytes have to pass through this process."""
    return transport.get_extra_info("socket") is not None and transport.get_extra_info("sslcontext") is None


async def send_file(transport: asyncio.Transport, descriptor: int, *, offset: int, size_bytes: int) -> None:
    """Send a part of a file after everything that was written to the transport is gone.

    Raises:
        StorageError: the file ends before the part does, or cannot be read.
        ConnectionError: the client left.
    """
    out = os.dup(transport.get_extra_info("socket").fileno())
    try:
        end = offset + size_bytes
        while offset < end:
            if transport.is_closing():
                raise ConnectionResetError("the connection was closed while a file was sent")
            offset += await _sent(out, descriptor, offset, min(CHUNK_BYTES, end - offset))
    finally:
        os.close(out)


async def _sent(out: int, descriptor: int, offset: int, size_bytes: int) -> int:
    """How many bytes the socket took; 0 once it may take some again."""
    try:
        if not _is_cached(descriptor, offset, size_bytes):
            await asyncio.to_thread(_read_ahead, descriptor, offset, size_bytes)
        count = os.sendfile(out, descriptor, offset, size_bytes)
    except BlockingIOError:
        await _writable(out)
        return 0
    except ConnectionError:
        raise
    except OSError as error:
        raise StorageError(f"send a stored file: {error.strerror}") from error
    if not count:
        raise StorageError(f"send a stored file: it ends at byte {offset}, before its size")
    await asyncio.sleep(0)
    return count


def _is_cached(descriptor: int, offset: int, size_bytes: int) -> bool:
    """Whether both ends of a part can be read without waiting for the disk; where nobody can tell, it counts as so."""
    byte = bytearray(1)
    try:
        for place in (offset, offset + size_bytes - 1):
            os.preadv(descriptor, [byte], place, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    except OSError:  # a file system without such reads
        return True
    return True


def _read_ahead(descriptor: int, offset: int, size_bytes: int) -> None:
    os.posix_fadvise(descriptor, offset, size_bytes, os.POSIX_FADV_WILLNEED)
    for place in range(offset, offset + size_bytes, _PAGE_BYTES):
        os.pread(descriptor, 1, place)
    os.pread(descriptor, 1, offset + size_bytes - 1)


async def _writable(out: int) -> None:
    """Return when the socket can take more, or when it is time to look whether the connection still exists."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_writer(out, _resolve, ready)
    look = loop.call_later(_LOOK_EVERY_S, _resolve, ready)
    try:
        await ready
    finally:
        look.cancel()
        loop.remove_writer(out)


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
