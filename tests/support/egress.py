"""The only way out: a forward proxy that leads names to servers on loopback, and writes down who was asked for.

Names resolve nowhere else, so a private name that leaves for somebody else is in `asked`, and gets nothing there.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Egress:
    """A running forward proxy.

    Attributes:
        ports: loopback ports by host name.
        asked: every host and port that a tunnel was asked for, and every address that was asked for without one.
        port: its own.
        writers: of all connections that there were.
    """

    ports: Mapping[str, int]
    asked: list[str] = field(default_factory=list)
    port: int = 0
    writers: set[asyncio.StreamWriter] = field(default_factory=set, repr=False)

    @property
    def url(self) -> str:
        """For HTTPS_PROXY."""
        return f"http://127.0.0.1:{self.port}"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.writers.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, target, _ = head.split(" ", 2)
            self.asked.append(target)
            port = self.ports.get(target.rpartition(":")[0]) if method == "CONNECT" else None
            if port is None:
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
            else:
                there, back = await asyncio.open_connection("127.0.0.1", port)
                self.writers.add(back)
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                await asyncio.gather(_carried(reader, back), _carried(there, writer))
        writer.close()

    async def end(self, server: asyncio.Server) -> None:
        """Nothing is carried any more, and no connection is left."""
        server.close()
        for writer in self.writers:
            writer.transport.abort()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def leading(ports: Mapping[str, int]) -> Iterator[Egress]:
    """A forward proxy to these servers, until the context ends."""
    egress = Egress(ports)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="egress")
    server = loop.run_until_complete(asyncio.start_server(egress.answer, "127.0.0.1", 0))
    egress.port = server.sockets[0].getsockname()[1]
    thread.start()
    try:
        yield egress
    finally:
        asyncio.run_coroutine_threadsafe(egress.end(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _carried(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
