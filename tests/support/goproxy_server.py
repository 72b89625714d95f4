"""A module proxy on loopback that serves files from memory, fails on demand and counts what it is asked."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer

from support.modules_fixture import SampleModule, proxy_files

Fault = Callable[["GoProxyServer", web.Request, bytes], Awaitable[web.StreamResponse]]
"""What happens instead of a plain answer; it gets the file's true bytes (b"" if there is no such file)."""


class GoProxyServer:
    """An upstream module proxy.

    Attributes:
        files: what is served, by path without a leading slash (unescaped percent signs, `!` kept).
        faults: what goes wrong, by the same path, or by `*` for every path.
        requests: how often each path was asked for.
        headers: the headers of the last request for each path.
        hanging: set once a request hangs, so that a test can go on.
    """

    def __init__(self, modules: Iterable[SampleModule] = ()) -> None:
        self.files: dict[str, bytes] = proxy_files(modules)
        self.faults: dict[str, Fault] = {}
        self.requests: Counter[str] = Counter()
        self.headers: dict[str, Mapping[str, str]] = {}
        self.hanging = asyncio.Event()
        self._released = asyncio.Event()
        self._server: TestServer | None = None

    @property
    def url(self) -> str:
        """The base address, without a trailing slash."""
        if self._server is None:
            raise RuntimeError("the server is not running")
        return str(self._server.make_url("/")).rstrip("/")

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.lstrip("/")
        self.requests[path] += 1
        self.headers[path] = dict(request.headers)
        data = self.files.get(path)
        fault = self.faults.get(path) or self.faults.get("*")
        if fault is not None:
            return await fault(self, request, data or b"")
        if data is None:
            return web.Response(status=404, text=f"not found: {path}")
        return web.Response(body=data, content_type=_content_type(path))

    async def wait_until_closed(self) -> None:
        """Returns when the server is shut down."""
        self.hanging.set()
        await self._released.wait()

    @asynccontextmanager
    async def running(self, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[GoProxyServer]:
        """The server on a free port of loopback; with a context of a certificate it speaks https."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self.answer)
        self._server = TestServer(application, host="127.0.0.1", scheme="https" if tls else "http")
        await self._server.start_server(ssl=tls)
        try:
            yield self
        finally:
            self._released.set()
            await self._server.close()


def status(code: int, text: str = "", *, headers: Mapping[str, str] | None = None) -> Fault:
    """Answers with a status and a text/plain body."""

    async def fail(server: GoProxyServer, request: web.Request, data: bytes) -> web.StreamResponse:
        return web.Response(status=code, text=text, headers=headers)

    return fail


def body(replacement: bytes, *, content_type: str = "application/octet-stream") -> Fault:
    """Answers 200 with other bytes: bad JSON, another version's info, HTML, a corrupt zip."""

    async def lie(server: GoProxyServer, request: web.Request, data: bytes) -> web.StreamResponse:
        return web.Response(body=replacement, content_type=content_type)

    return lie


def encoded(encoding: str, encode: Callable[[bytes], bytes]) -> Fault:
    """Answers 200 with the true bytes, encoded and labelled so."""

    async def label(server: GoProxyServer, request: web.Request, data: bytes) -> web.StreamResponse:
        return web.Response(body=encode(data), headers={"Content-Encoding": encoding})

    return label


def stalling_status(code: int, text: str) -> Fault:
    """Answers with a status and the start of a body that never ends."""

    async def fail_slowly(server: GoProxyServer, request: web.Request, data: bytes) -> web.StreamResponse:
        answer = web.StreamResponse(status=code, headers={"Content-Type": "text/plain", "Content-Length": "9999"})
        await answer.prepare(request)
        await answer.write(text.encode())
        await server.wait_until_closed()
        return answer

    return fail_slowly


async def hang(server: GoProxyServer, request: web.Request, data: bytes) -> web.StreamResponse:
    """Never answers."""
    await server.wait_until_closed()
    return web.Response(status=503)


async def stall(server: GoProxyServer, request: web.Request, data: bytes) -> web.StreamResponse:
    """Sends half of the body, then nothing more."""
    answer = await _started(request, data)
    await answer.write(data[: len(data) // 2])
    await server.wait_until_closed()
    return answer


async def drip_header(server: GoProxyServer, request: web.Request, data: bytes) -> web.StreamResponse:
    """Sends a header that never ends, byte by byte."""
    transport = request.transport
    if transport is not None:
        transport.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while transport is not None and not transport.is_closing():
        transport.write(b"x")
        await asyncio.sleep(0.02)
    return web.Response()


def many_headers(count: int) -> Fault:
    """The true answer below so many headers."""

    async def label(server: GoProxyServer, request: web.Request, data: bytes) -> web.StreamResponse:
        return web.Response(body=data, headers={f"X-Header-{number}": "x" for number in range(count)})

    return label


async def truncate(server: GoProxyServer, request: web.Request, data: bytes) -> web.StreamResponse:
    """Announces the whole body, sends half of it and closes the connection."""
    answer = await _started(request, data)
    await answer.write(data[: len(data) // 2])
    if request.transport is not None:
        request.transport.close()
    return answer


def raw(head: bytes) -> Fault:
    """Answers with these bytes in front of the true body, whatever HTTP says of them, and ends the connection."""

    async def say(server: GoProxyServer, request: web.Request, data: bytes) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.write(head + data)
            request.transport.close()
        return web.Response()

    return say


def unmarked(kept: Callable[[bytes], bytes]) -> Fault:
    """Answers 200 with a part of the body that only the end of the connection ends, as HTTP/1.0 knows it."""

    async def end(server: GoProxyServer, request: web.Request, data: bytes) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + kept(data))
            request.transport.close()
        return web.Response()

    return end


async def drop(server: GoProxyServer, request: web.Request, data: bytes) -> web.StreamResponse:
    """Closes the connection without an answer."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()


async def redirect_loop(server: GoProxyServer, request: web.Request, data: bytes) -> web.StreamResponse:
    """Redirects to itself for ever."""
    return web.Response(status=302, headers={"Location": request.path})


def redirect(location: str) -> Fault:
    """Redirects once, to a fixed address."""

    async def lead(server: GoProxyServer, request: web.Request, data: bytes) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": location})

    return lead


def drip(*, chunk_bytes: int, pause_s: float) -> Fault:
    """Sends the true body in small chunks with pauses; slow, but never without progress."""

    async def trickle(server: GoProxyServer, request: web.Request, data: bytes) -> web.StreamResponse:
        answer = await _started(request, data)
        for at in range(0, len(data), chunk_bytes):
            await answer.write(data[at : at + chunk_bytes])
            await asyncio.sleep(pause_s)
        return answer

    return trickle


def failing_first(times: int, fault: Fault) -> Fault:
    """The fault for the first so many requests, then the true answer."""
    left = times

    async def fail_then_serve(server: GoProxyServer, request: web.Request, data: bytes) -> web.StreamResponse:
        nonlocal left
        if left:
            left -= 1
            return await fault(server, request, data)
        return web.Response(body=data, content_type=_content_type(request.path))

    return fail_then_serve


async def _started(request: web.Request, data: bytes) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Length": str(len(data))})
    answer.content_type = _content_type(request.path)
    await answer.prepare(request)
    return answer


def _content_type(path: str) -> str:
    if path.endswith((".info", "@latest")):
        return "application/json"
    return "application/zip" if path.endswith(".zip") else "text/plain"
