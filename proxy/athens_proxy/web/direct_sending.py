"""Finished answers straight to a socket, as far as it takes them at once; what is left over goes through the transport.

The transport would copy head and body together and write them when the loop has read everything else. Here the system
takes both from where they lie, and a body that is big enough lies in a file of its own in memory, from which the
kernel sends pages without copying them.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import Final

FILE_BYTES: Final = 48 * 1024  # from here on pages are cheaper than a copy, although they take one system call more
_JOINED_BYTES: Final = 4096  # up to here one copy is cheaper than a list of two buffers


class Body:
    """The bytes of a kept answer.

    Attributes:
        size_bytes: of the body.
        data: the body itself, None when it is in a file.
        descriptor: of the file, -1 for none.
    """

    __slots__ = ("data", "descriptor", "size_bytes")

    def __init__(self, data: bytes) -> None:
        self.size_bytes = len(data)
        self.data: bytes | None = data
        self.descriptor = -1
        if len(data) >= FILE_BYTES:
            self.descriptor, self.data = _file_of(data), None

    def read(self, offset: int = 0) -> bytes:
        """What follows an offset."""
        return os.pread(self.descriptor, self.size_bytes, offset) if self.data is None else self.data[offset:]

    def close(self) -> None:
        """Give the file back; nothing is sent any more."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class Outlet:
    """The socket of a connection beside its transport.

    Args:
        transport: of the connection; with TLS everything goes through it.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        own = transport.get_extra_info("socket")
        is_plain = own is not None and transport.get_extra_info("sslcontext") is None
        # The same descriptor, which stays the transport's: `detach` before it closes it.
        self._socket = socket.socket(fileno=own.fileno()) if is_plain else None

    def detach(self) -> None:
        """The transport is about to close its socket."""
        if self._socket is not None:
            self._socket.detach()
            self._socket = None

    def __del__(self) -> None:
        """Never close what is not ours, also when nobody said that the connection ended."""
        self.detach()

    def send(self, head: bytes, body: Body) -> None:
        """Send an answer; never waits, whatever the socket cannot take now is the transport's."""
        direct = self._socket
        if direct is None or self._transport.get_write_buffer_size():
            self._transport.write(head + body.read())
            return
        sent = 0
        # A connection that is broken is told to the transport by its own write.
        with suppress(OSError):
            if body.data is None:
                sent = direct.send(head, socket.MSG_MORE)
                if sent == len(head):
                    sent += os.sendfile(direct.fileno(), body.descriptor, 0, body.size_bytes)
            elif body.size_bytes <= _JOINED_BYTES:
                sent = direct.send(head + body.data)
            else:
                sent = direct.sendmsg((head, body.data))
        if sent < len(head):
            self._transport.write(head[sent:] + body.read())
        elif sent < len(head) + body.size_bytes:
            self._transport.write(body.read(sent - len(head)))


def _file_of(data: bytes) -> int:
    descriptor = os.memfd_create("answer", os.MFD_CLOEXEC)
    written = 0
    while written < len(data):
        written += os.write(descriptor, data[written:])
    return descriptor
