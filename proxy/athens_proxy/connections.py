"""HTTP connections that do not wait for ever for a request's header, and say in one line why they cannot read it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
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
        self._body: StreamReader = EMPTY_PAYLOAD  # of the request that is answered
        self._has_ended = False

    @property
    def has_ended(self) -> bool:
        """Whether the client will send nothing any more; it may have left, or still wait for what it asked for."""
        return self._has_ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The first header may begin."""
        super().connection_made(transport)
        self._start_waiting()

    def data_received(self, data: bytes) -> None:
        """The first bytes of a header start the clock."""
        if not self._has_request and self._late is None:
            self._start_waiting()
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's own protocols may keep a connection, too
        """Answer what was asked for before the client's end of the connection was closed, then close ours.

        Such a client may still read (`nc -N`, some probes). One that has left is told by the first write to it. TLS
        has no half of a connection.
        """
        if self.ssl_context is not None or not self._is_answering():
            return False
        self._has_ended = True
        self._close_after_the_last()
        return True

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

    def header_is_complete(self, body: StreamReader) -> None:
        """A request begins."""
        self._has_request = True
        self._body = body
        self.stop_waiting()

    async def finish_response(self, *arguments: Any) -> Any:
        """After the answer the next bytes are a header again."""
        self._has_request = False
        finished = await super().finish_response(*arguments)
        if self._has_ended:
            self._close_after_the_last()
        return finished

    def _is_answering(self) -> bool:
        """Whether something is being answered or waits for that, and came with its whole body."""
        if not (self._messages or self._has_request or self._request_in_progress):
            return False
        return self._body.is_eof() and all(body.is_eof() for _, body in self._messages)

    def _close_after_the_last(self) -> None:
        if not self._messages:
            self.close()

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
    protocol.header_is_complete(payload)
    return web.BaseRequest(message, payload, protocol, writer, task, asyncio.get_running_loop())
