"""HTTP connections that do not wait for ever for a request's header, and say in one line why they cannot read it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

HEADER_TIMEOUT_S: Final = 10.0
MAX_LINE_BYTES: Final = 8190  # aiohttp's default
_AT_ONCE_S: Final = 0.001  # aiohttp takes 0 for "no limit"


class PatientServer(web.Server):
    """aiohttp's low-level server; a header that has begun must be complete after `header_timeout_s` (Athens: 2 s).

    Without it a client that sends a byte now and then holds a connection for hours.
    """

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        *,
        header_timeout_s: float = HEADER_TIMEOUT_S,
        **settings: Any,
    ) -> None:
        super().__init__(handler, request_factory=_request, **settings)
        self._header_timeout_s = header_timeout_s

    def __call__(self) -> RequestHandler:
        """The protocol of a new connection."""
        return PatientConnection(self, self._header_timeout_s, loop=self._loop, **self._kwargs)


class PatientConnection(RequestHandler):
    """Counts from the first byte of a header, or from the connection's start, to the header's end."""

    def __init__(self, server: PatientServer, header_timeout_s: float, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._header_timeout_s = header_timeout_s
        self._late: asyncio.TimerHandle | None = None
        self._has_request = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The first header may begin."""
        super().connection_made(transport)
        self._start_waiting()

    def data_received(self, data: bytes) -> None:
        """The first bytes of a header start the clock."""
        if not self._has_request and self._late is None:
            self._start_waiting()
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Nothing is waited for any more."""
        self.stop_waiting()
        super().connection_lost(exc)

    async def shutdown(self, timeout: float | None = 15.0) -> None:
        """Let the running request end for `timeout` seconds, as Athens does; 0 for none at all.

        aiohttp alone waits twice as long, the second time for a handler that it has told to stop: longer than a pod
        is given, so that what is to be left in order at the end never was.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                return await super().shutdown(None)
        await super().shutdown(_AT_ONCE_S)

    def header_is_complete(self) -> None:
        """A request begins."""
        self._has_request = True
        self.stop_waiting()

    async def finish_response(self, *arguments: Any) -> Any:
        """After the answer the next bytes are a header again."""
        self._has_request = False
        return await super().finish_response(*arguments)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is no HTTP: aiohttp's own shows bytes and Python's names."""
        answer = super().handle_error(request, status, exc, message)
        if status != HTTPStatus.BAD_REQUEST:
            return answer
        headers = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store", "Server": "athens-proxy"}
        ours = web.Response(
            status=status, body=f"bad request: {_problem(exc, message or '')}\n".encode(), headers=headers
        )
        ours.force_close()
        return ours

    def _start_waiting(self) -> None:
        self._late = asyncio.get_running_loop().call_later(self._header_timeout_s, self.force_close)

    def stop_waiting(self) -> None:
        """The header that was waited for has come."""
        if self._late is not None:
            self._late.cancel()
            self._late = None


def _problem(error: BaseException | None, message: str) -> str:
    """What is wrong with a request, without the bytes that the parser quotes."""
    if isinstance(error, LineTooLong):
        return f"the request line or a header is longer than {MAX_LINE_BYTES} bytes"
    if "HTTPS traffic" in message:
        return "this port speaks http, not https"
    first_line = message.partition("\n")[0].strip(" :.")
    return first_line if first_line.isprintable() and first_line else "it is no HTTP"


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    protocol.header_is_complete()
    return web.BaseRequest(message, payload, protocol, writer, task, asyncio.get_running_loop())
