"""A part of a file from the page cache to a socket, without a copy in this process.

uvloop has no `loop.sendfile`, and aiohttp's answer to that is a thread per chunk. So the system call is made here, on a
second descriptor of the connection's socket, which the loop can watch beside the transport's own. What a slow reader
has not taken yet stays in the file: nothing is held for it but the socket's buffer.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import Final, Protocol, TypeGuard

from athens_proxy.errors import StorageError
from athens_proxy.storage.storage import StoredZip

CHUNK_BYTES: Final = 1 << 20  # sent in one turn of the loop, so that other clients have theirs
WINDOW_BYTES: Final = 4 << 20  # looked for in the page cache at once
# That a socket takes beyond what the peer's window lets out. What lies there is sent while the peer's acknowledgements
# are handled, on a near network by the peer's own core, and slows the peer down; too little would leave a fast network
# idle until the loop comes round. Not less than INLINE_BYTES, so that finished answers still go out in one call.
UNSENT_BYTES: Final = 256 << 10
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
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as out:
        with suppress(OSError):  # not TCP
            out.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        part = _Part(transport, out.fileno(), descriptor, offset, offset + size_bytes)
        while not part.is_sent():
            if part.is_cached():
                await part.send_what_is_cached()
            else:
                await asyncio.to_thread(part.read_ahead)


class _Part:
    """What is left to be sent of a file, and how much of that can be read without waiting for the disk."""

    def __init__(self, transport: asyncio.Transport, out: int, descriptor: int, offset: int, end: int) -> None:
        self._transport = transport
        self._out = out
        self._descriptor = descriptor
        self._offset = offset
        self._end = end
        self._cached_until = offset

    def is_sent(self) -> bool:
        return self._offset >= self._end

    def is_cached(self) -> bool:
        """Whether some more can be sent now; both ends of a window tell for what is between."""
        if self._offset < self._cached_until:
            return True
        window_end = min(self._offset + WINDOW_BYTES, self._end)
        byte = bytearray(1)
        try:
            for place in (self._offset, window_end - 1):
                os.preadv(self._descriptor, [byte], place, os.RWF_NOWAIT)
        except BlockingIOError:
            return False
        except OSError:  # a file system without such reads: nobody can tell
            pass
        self._cached_until = window_end
        return True

    def read_ahead(self) -> None:
        """Have the next window in the page cache; blocking, for a worker thread."""
        window_end = min(self._offset + WINDOW_BYTES, self._end)
        try:
            os.posix_fadvise(self._descriptor, self._offset, window_end - self._offset, os.POSIX_FADV_WILLNEED)
            for place in (*range(self._offset, window_end, _PAGE_BYTES), window_end - 1):
                os.pread(self._descriptor, 1, place)
        except OSError as error:
            raise _failure(error) from error
        self._cached_until = window_end

    async def send_what_is_cached(self) -> None:
        """Send as the socket takes it, a chunk for each turn of the loop, up to where the disk would be waited for."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._send_chunk(done)
        if not done.done():
            loop.add_writer(self._out, self._send_chunk, done)
        try:
            while not done.done():
                await asyncio.wait([done], timeout=_LOOK_EVERY_S)
                self._refuse_if_closing(done)
        finally:
            loop.remove_writer(self._out)
        done.result()

    def _send_chunk(self, done: asyncio.Future[None]) -> None:
        self._refuse_if_closing(done)
        if done.done():
            return
        try:
            size_bytes = min(CHUNK_BYTES, self._cached_until - self._offset)
            count = os.sendfile(self._out, self._descriptor, self._offset, size_bytes)
            if not count:
                raise StorageError(f"send a stored file: it ends at byte {self._offset}, before its size")
        except BlockingIOError:
            return
        except (ConnectionError, StorageError) as error:
            done.set_exception(error)
            return
        except OSError as error:
            done.set_exception(_failure(error))
            return
        self._offset += count
        if self.is_sent() or not self.is_cached():
            done.set_result(None)

    def _refuse_if_closing(self, done: asyncio.Future[None]) -> None:
        """Nobody says that the connection was closed while its reader takes nothing."""
        if self._transport.is_closing() and not done.done():
            done.set_exception(ConnectionResetError("the connection was closed while a file was sent"))


def _failure(error: OSError) -> StorageError:
    return StorageError(f"send a stored file: {error.strerror}")
