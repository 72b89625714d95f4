"""Parts of files on sockets, on both event loops: every byte, nothing held for slow readers, nothing left open."""

from __future__ import annotations

import asyncio
import fcntl
import os
import random
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import uvloop

from athens_proxy.errors import StorageError
from athens_proxy.server import Listener, listening
from athens_proxy.storage.disk_zip import DiskZip
from athens_proxy.storage.memory import MemoryZip
from athens_proxy.tls import ServerCertificate
from athens_proxy.web.file_sending import UNSENT_BYTES, is_file, send_file
from support.authority import Authority
from support.modules_fixture import SampleModule
from support.proxy_parts import Proxy, SampleUpstream

CONTENT: Final = random.Random(1).randbytes(9_000_001)
DEADLINE_S: Final = 30.0
SIOCOUTQNSD: Final = 0x894B  # linux/sockios.h: what a socket took and has not sent yet
SEGMENT_BYTES: Final = 1 << 16  # taken as a whole
Loop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Runs a test on one of the loops."""

    def on_loop(test: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(asyncio.wait_for(test, DEADLINE_S))

    return on_loop


@dataclass
class Pair:
    """Both ends of a connection: `reader` reads only when it is asked to."""

    transport: asyncio.Transport
    reader: socket.socket
    lost: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, size_bytes: int) -> bytes:
        received, loop = bytearray(), asyncio.get_running_loop()
        while len(received) < size_bytes and (data := await loop.sock_recv(self.reader, 1 << 16)):
            received += data
        return bytes(received)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Writer and reader; the reader's buffer is small."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        reader.connect(listener.getsockname())
        writer, _ = listener.accept()
        return writer, socket.socket(fileno=reader.detach())


@asynccontextmanager
async def connected(
    pair: Callable[[], tuple[socket.socket, socket.socket]] = socket.socketpair,
) -> AsyncIterator[Pair]:
    writer, reader = pair()
    reader.setblocking(False)
    lost = asyncio.Event()

    class Server(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            lost.set()

    with reader:
        transport, _ = await asyncio.get_running_loop().create_connection(Server, sock=writer)
        try:
            yield Pair(transport, reader, lost)
        finally:
            transport.abort()
            await lost.wait()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "source.zip"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize(("offset", "size_bytes"), [(0, len(CONTENT)), (1, 1), (4095, 5_000_000), (9_000_000, 1)])
def test_every_byte_of_a_part_arrives(
    run: Callable[[Coroutine[Any, Any, None]], None], file: Path, offset: int, size_bytes: int
) -> None:
    async def test() -> None:
        with file.open("rb") as source:
            async with connected() as pair, asyncio.TaskGroup() as tasks:
                sending = send_file(pair.transport, source.fileno(), offset=offset, size_bytes=size_bytes)
                tasks.create_task(sending)
                assert await pair.read(size_bytes) == CONTENT[offset : offset + size_bytes]

    run(test())


def test_file_that_lies_on_the_disk_alone_arrives_too(
    run: Callable[[Coroutine[Any, Any, None]], None], file: Path
) -> None:
    async def test() -> None:
        with file.open("rb") as source:
            os.fsync(source.fileno())
            os.posix_fadvise(source.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            async with connected() as pair, asyncio.TaskGroup() as tasks:
                tasks.create_task(send_file(pair.transport, source.fileno(), offset=1, size_bytes=len(CONTENT) - 1))
                assert await pair.read(len(CONTENT) - 1) == CONTENT[1:]

    run(test())


def test_what_a_stalled_reader_has_not_taken_is_nowhere_in_the_process(
    run: Callable[[Coroutine[Any, Any, None]], None], file: Path
) -> None:
    async def test() -> None:
        with file.open("rb") as source:
            async with connected() as pair:
                size_bytes = len(CONTENT)
                sending = asyncio.create_task(
                    send_file(pair.transport, source.fileno(), offset=0, size_bytes=size_bytes)
                )
                first = await pair.read(1)
                assert not sending.done()
                assert pair.transport.get_write_buffer_size() == 0

                assert first + await pair.read(size_bytes - len(first)) == CONTENT
                await sending

    run(test())


def test_what_a_stalled_reader_leaves_unsent_in_the_system_is_bounded(
    run: Callable[[Coroutine[Any, Any, None]], None], file: Path
) -> None:
    async def test() -> None:
        with file.open("rb") as source:
            async with connected(tcp_pair) as pair, asyncio.TaskGroup() as tasks:
                sending = send_file(pair.transport, source.fileno(), offset=0, size_bytes=len(CONTENT))
                tasks.create_task(sending)
                first = await pair.read(1)
                answer = fcntl.ioctl(pair.transport.get_extra_info("socket").fileno(), SIOCOUTQNSD, bytes(4))
                unsent_bytes = int.from_bytes(answer, sys.byteorder)
                assert 0 < unsent_bytes <= UNSENT_BYTES + SEGMENT_BYTES

                assert first + await pair.read(len(CONTENT) - len(first)) == CONTENT

    run(test())


def test_file_that_ends_early_is_a_failure_of_the_store(
    run: Callable[[Coroutine[Any, Any, None]], None], file: Path
) -> None:
    async def test() -> None:
        os.truncate(file, 1000)
        with file.open("rb") as source:
            async with connected() as pair:
                with pytest.raises(StorageError, match="ends at byte 1000"):
                    await send_file(pair.transport, source.fileno(), offset=0, size_bytes=2000)

    run(test())


def test_reader_that_leaves_ends_the_sending(run: Callable[[Coroutine[Any, Any, None]], None], file: Path) -> None:
    async def test() -> None:
        with file.open("rb") as source:
            async with connected() as pair:
                before = len(os.listdir("/proc/self/fd"))
                sending = asyncio.create_task(
                    send_file(pair.transport, source.fileno(), offset=0, size_bytes=len(CONTENT))
                )
                await pair.read(1)
                pair.reader.close()

                with pytest.raises(ConnectionError):
                    await sending
                assert len(os.listdir("/proc/self/fd")) < before

    run(test())


def test_connection_that_is_closed_under_a_stalled_reader_ends_the_sending(
    run: Callable[[Coroutine[Any, Any, None]], None], file: Path
) -> None:
    async def test() -> None:
        with file.open("rb") as source:
            async with connected() as pair:
                sending = asyncio.create_task(
                    send_file(pair.transport, source.fileno(), offset=0, size_bytes=len(CONTENT))
                )
                await pair.read(1)
                pair.transport.abort()

                with pytest.raises(ConnectionError):
                    await sending

    run(test())


def test_zips_on_disk_are_files_and_those_in_memory_are_not(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        assert is_file(DiskZip(descriptor, size_bytes=len(CONTENT), name="m@v1.0.0"))
    finally:
        os.close(descriptor)
    assert not is_file(MemoryZip(b""))


@pytest.mark.parametrize("is_secure", [False, True], ids=["http", "https"])
async def test_answers_around_a_large_zip_come_in_order_on_one_connection(tmp_path: Path, is_secure: bool) -> None:
    for name in ("scratch", "store", "tls"):
        (tmp_path / name).mkdir()
    big = SampleModule("example.com/big", files={"noise.bin": CONTENT[:1_000_000]})
    proxy = Proxy(tmp_path / "store", SampleUpstream(tmp_path / "scratch", [big]))
    await proxy.save([big], tmp_path / "scratch")
    authority = Authority.made(tmp_path / "tls")
    certificate = ServerCertificate(str(authority.cert_file), str(authority.key_file)).context if is_secure else None
    requests = "".join(
        f"GET /example.com/big/@v/v1.0.0.{extension} HTTP/1.1\r\nHost: a\r\n{last}\r\n"
        for extension, last in (("info", ""), ("zip", ""), ("mod", ""), ("zip", "Range: bytes=-300000\r\n"))
    )
    async with listening(proxy.gate.handle, Listener("127.0.0.1", 0, tls=certificate)) as address:
        port = int(address.rpartition(":")[2])
        trusted = authority.trusted() if is_secure else None
        reader, writer = await asyncio.open_connection("localhost", port, ssl=trusted)
        writer.write(f"{requests}GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        received = await asyncio.wait_for(reader.read(), DEADLINE_S)
        writer.close()

    for body in (big.info, big.zip, big.mod, big.zip[-300_000:]):
        head, _, received = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 20")
        assert received[: len(body)] == body
        received = received[len(body) :]
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    await proxy.flights.aclose()
