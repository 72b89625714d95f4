"""Answers to plain requests for finished files, before aiohttp takes the request apart.

`HotConnection` looks at the bytes of a connection first. A lone, complete, plain GET whose target is among the
`FinishedAnswers` gets that answer, is counted and logged as by the ordinary path; everything else is aiohttp's.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.web_protocol import RequestHandler

from athens_proxy.connections import PatientConnection, PatientServer
from athens_proxy.web.hot_answers import MOMENT, FinishedAnswer, FinishedAnswers
from athens_proxy.web.hot_requests import PlainGets, is_whole
from athens_proxy.web.middleware import AccessLine, is_access_logged, is_sane_id, log_access

_READS: Final = frozenset({"GET", "HEAD"})
_IDS_AT_ONCE: Final = 256
_JOINED_BYTES: Final = 65_536  # above, two buffers in one system call are cheaper than a copy
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
OnLookup = Callable[[str, bool], None]
OnRequest = Callable[[str, int, float], None]


class Gate(Protocol):
    """The entry of the ordinary path."""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to one request."""


@dataclass(frozen=True, slots=True)
class HotPath:
    """The hot path in front of a gate.

    Attributes:
        gate: answers everything that is not finished yet.
        answers: what is finished.
        on_lookup: told that a stored file was asked for, as by the ordinary path.
        on_request: told about each answered request, as by the ordinary path.
    """

    gate: Gate
    answers: FinishedAnswers
    on_lookup: OnLookup
    on_request: OnRequest

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The ordinary answer; notes first what is in force, and forgets everything when the store may have changed."""
        request[MOMENT] = self.answers.moment
        response = await self.gate.handle(request)
        if request.method not in _READS and response.status < 400:
            self.answers.forget()
        return response


class HotServer(PatientServer):
    """Serves connections that try the finished answers first.

    Args:
        path: the finished answers and what stands behind them.
        handler: as of `PatientServer`, and the other settings too.
    """

    def __init__(self, handler: Handler, *, path: HotPath, **settings: Any) -> None:
        super().__init__(handler, **settings)
        self._path = path
        self._gets = PlainGets()
        self._ids = _request_ids()

    def __call__(self) -> RequestHandler:
        """The protocol of a new connection."""
        settings = {**self._kwargs, "header_timeout_s": self._header_timeout_s, "loop": self._loop}
        return HotConnection(self, self._path, self._gets, self._ids, **settings)


class HotConnection(PatientConnection):
    """One connection."""

    def __init__(self, server: HotServer, path: HotPath, gets: PlainGets, ids: Iterator[str], **settings: Any) -> None:
        super().__init__(server, **settings)
        self._path = path
        self._answers = path.answers
        self._gets = gets
        self._ids = ids
        self._at_boundary = True  # whether the parser has seen whole requests only

    def data_received(self, data: bytes) -> None:
        """Answer what can be answered at once; hand the rest to aiohttp, and all that follows what it may not end."""
        if self._is_idle() and self._answered(data):
            return
        self._at_boundary = self._at_boundary and not self._messages and is_whole(data)
        super().data_received(data)

    async def finish_response(self, *arguments: Any) -> Any:
        """Send an ordinary answer, then keep it if it is worth keeping."""
        sent = await super().finish_response(*arguments)
        request, response, *_ = arguments
        self._answers.offer(request, response)
        return sent

    def _is_idle(self) -> bool:
        """Whether a request may begin here, and none is being read, answered or held up by a slow reader."""
        waiter = self._waiter
        return (
            self._at_boundary
            and waiter is not None
            and not waiter.done()
            and not self._messages
            and not self._paused
            and not self._close
            and not self._force_close
        )

    def _answered(self, data: bytes) -> bool:
        if data[:5] != b"GET /":
            return False
        end = data.find(b" ", 5)
        answer = self._answers.find(data[4:end])
        if answer is None:
            return False
        get = self._gets.get(data[end:])
        if get is None or self.transport is None or not self._answers.admits(get.authorization):
            return False
        self._send(self.transport, answer, get.request_id)
        return True

    def _send(self, transport: asyncio.Transport, answer: FinishedAnswer, asked_id: str) -> None:
        begin = time.monotonic()
        request_id = asked_id if asked_id and is_sane_id(asked_id) else next(self._ids)
        date = rfc822_formatted_time().encode("ascii")
        head = b"".join((answer.before_id, request_id.encode("ascii"), answer.before_date, date, b"\r\n\r\n"))
        if len(answer.body) <= _JOINED_BYTES:
            transport.write(head + answer.body)
        else:
            transport.write(head)
            transport.write(answer.body)
        if self._late is not None:
            self.stop_waiting()
        duration_s = time.monotonic() - begin
        self._next_keepalive_close_time = begin + self._keepalive_timeout
        self._path.on_lookup(answer.file, True)
        self._path.on_request("GET", 200, duration_s)
        if is_access_logged():
            line = AccessLine("GET", answer.target, 200, len(answer.body), duration_s, "hit")
            log_access(line, request_id=request_id)


def _request_ids() -> Iterator[str]:
    """Random ids in the form of `uuid.uuid4`, drawn many at a time: the system call costs more than all the rest."""
    while True:
        digits = os.urandom(16 * _IDS_AT_ONCE).hex()
        for start in range(0, len(digits), 32):
            one = digits[start : start + 32]
            variant = "89ab"[int(one[16], 16) & 3]
            yield f"{one[:8]}-{one[8:12]}-4{one[13:16]}-{variant}{one[17:20]}-{one[20:]}"
