"""Kept answers on sockets, on both event loops: whole and in order, however much the system takes at once."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
import uvloop

from athens_proxy.web.direct_sending import FILE_BYTES, Body, Outlet

HEAD: Final = b"HTTP/1.1 200 OK\r\n\r\n"
SIZES: Final = (0, 50, 5_000, FILE_BYTES - 1, FILE_BYTES, 250_000)
DEADLINE_S: Final = 30.0
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a test on one of the loops."""

    def on_loop(test: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(asyncio.wait_for(test, DEADLINE_S))

    return on_loop


class Server(asyncio.Protocol):
    """Lets its socket go when the transport closes it, as a connection does."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self.outlet: Outlet | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self.outlet is not None:
            self.outlet.detach()
        self.lost.set()


@asynccontextmanager
async def connected(buffer_bytes: int) -> AsyncIterator[tuple[asyncio.Transport, Server, socket.socket]]:
    writer, reader = socket.socketpair()
    writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
    reader.setblocking(False)
    with reader:
        transport, server = await asyncio.get_running_loop().create_connection(Server, sock=writer)
        server.outlet = Outlet(transport)
        try:
            yield transport, server, reader
        finally:
            transport.abort()
            await server.lost.wait()


async def received(reader: socket.socket, size_bytes: int) -> bytes:
    data, loop = bytearray(), asyncio.get_running_loop()
    while len(data) < size_bytes and (part := await loop.sock_recv(reader, 1 << 16)):
        data += part
    return bytes(data)


@pytest.mark.parametrize("buffer_bytes", [4096, 1 << 22], ids=["tight", "roomy"])
@pytest.mark.parametrize("size_bytes", SIZES)
def test_answers_arrive_whole_and_in_order(run: Run, size_bytes: int, buffer_bytes: int) -> None:
    async def test() -> None:
        content = random.Random(size_bytes).randbytes(size_bytes)
        body = Body(content)
        async with connected(buffer_bytes) as (_, server, reader):
            assert server.outlet is not None
            for _ in range(4):  # nobody reads meanwhile: the later ones find a transport that is busy
                server.outlet.send(HEAD, body)

            assert await received(reader, 4 * (len(HEAD) + size_bytes)) == (HEAD + content) * 4
        body.close()

    run(test())


@pytest.mark.parametrize("size_bytes", SIZES)
def test_reader_that_left_ends_the_connection(run: Run, size_bytes: int) -> None:
    async def test() -> None:
        body = Body(bytes(size_bytes))
        async with connected(4096) as (_, server, reader):
            assert server.outlet is not None
            reader.close()
            server.outlet.send(HEAD, body)
            await server.lost.wait()
        body.close()

    run(test())


def test_files_of_bodies_are_given_back() -> None:
    before = len(os.listdir("/proc/self/fd"))
    body = Body(bytes(FILE_BYTES))
    assert len(os.listdir("/proc/self/fd")) == before + 1

    body.close()
    body.close()

    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("size_bytes", SIZES)
def test_with_tls_everything_goes_through_the_transport(size_bytes: int) -> None:
    class Encrypting(asyncio.Transport):
        def __init__(self) -> None:
            super().__init__({"socket": socket.socket(), "sslcontext": ssl.create_default_context()})
            self.written = b""

        def get_write_buffer_size(self) -> int:
            return 0

        def write(self, data: bytes | bytearray | memoryview) -> None:
            self.written += bytes(data)

    transport, body = Encrypting(), Body(bytes(size_bytes))
    Outlet(transport).send(HEAD, body)
    body.close()
    transport.get_extra_info("socket").close()

    assert transport.written == HEAD + bytes(size_bytes)
