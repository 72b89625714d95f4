"""Answers to plain requests for finished files, before aiohttp takes the request apart.

`HotConnection` looks at the bytes of a connection first. A lone, complete, plain GET whose target is among the
`FinishedAnswers` gets that answer, is counted and logged as by the ordinary path; everything else is aiohttp's.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.web_protocol import RequestHandler

from athens_proxy.connections import PatientConnection, PatientServer
from athens_proxy.hit_lines import Hit, new_hit
from athens_proxy.web.direct_sending import Outlet
from athens_proxy.web.hot_answers import MOMENT, FinishedAnswer, FinishedAnswers
from athens_proxy.web.hot_requests import PlainGets, is_whole
from athens_proxy.web.middleware import is_sane_id, sane_addresses

_TURNS: Final = 3  # of the loop, that the server's task needs to end one request and wait for the next
_READS: Final = frozenset({"GET", "HEAD"})
_ID_ENDS: Final = tuple(b"%02x" % number for number in range(256))
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
OnHit = Callable[[str, float], None]
AccessLog = Callable[[Hit], None]
OnTrace = Callable[[str, str, bool, bytes, float], str]


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
        on_hit: counts a stored file (info, gomod, zip, "" for none) that was asked for, and a GET with status 200 that
            took so long, as the ordinary path does.
        log: writes the access line of such a GET; None for no lines.
        trace: records the span of such a GET (path, client, whether it asked for a stored file, request id, seconds)
            and returns the id of its trace, "" if it is not recorded; None where nobody traces.
        asked: counts how often each target was answered, for whoever takes it out again; None where nobody does.
        read: gets the target of each zip that was answered, for whoever takes it out again; None where nobody does.
    """

    gate: Gate
    answers: FinishedAnswers
    on_hit: OnHit
    log: AccessLog | None
    trace: OnTrace | None = None
    asked: dict[str, int] | None = None
    read: dict[str, None] | None = None

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
        self._shared = _Shared(PlainGets(), _request_ids(), _Dates())

    def __call__(self) -> RequestHandler:
        """The protocol of a new connection."""
        settings = {**self._kwargs, "header_timeout_s": self._header_timeout_s, "loop": self._loop}
        return HotConnection(self, self._path, self._shared, **settings)


class HotConnection(PatientConnection):
    """One connection."""

    def __init__(self, server: HotServer, path: HotPath, shared: _Shared, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._path = path
        self._answers = path.answers
        self._gets = shared.gets
        self._ids = shared.ids
        self._dates = shared.dates
        self._read = path.read
        self._asked = path.asked
        self._log, self._trace = path.log, path.trace
        self._outlet: Outlet | None = None
        self._client = ""
        self._at_boundary = True  # whether the parser has seen whole requests only
        self._held = b""  # what came before the server's task could wait for it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Have the socket at hand."""
        super().connection_made(transport)
        self._outlet = Outlet(cast(asyncio.Transport, transport))
        self._client = _address(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The transport closes its socket now."""
        self._held = b""
        self._let_go()
        super().connection_lost(exc)

    def force_close(self) -> None:
        """Close the connection at once."""
        self._let_go()
        super().force_close()

    def data_received(self, data: bytes) -> None:
        """Answer what can be answered at once; hand the rest to aiohttp, and all that follows what it may not end."""
        if self._held:
            self._held += data
        elif self._is_about_to_wait():
            self._held = data
            self._deliver_in(_TURNS)
        else:
            self._take(data)

    def eof_received(self) -> bool:  # type: ignore[override]  # see `PatientConnection`
        """What was held is all that comes."""
        self._deliver_in(0)
        return super().eof_received()

    def _deliver_in(self, turns: int) -> None:
        """Take what was held once the server's task waits, and after so many turns of the loop in any case."""
        if turns and self._is_about_to_wait():
            asyncio.get_running_loop().call_soon(self._deliver_in, turns - 1)
            return
        data, self._held = self._held, b""
        if data:
            self._take(data)

    def _take(self, data: bytes) -> None:
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

    def _let_go(self) -> None:
        if self._outlet is not None:
            self._outlet.detach()
            self._outlet = None

    def _is_about_to_wait(self) -> bool:
        """Whether the last answer is out, but the server's task has not come round to waiting for the next request.

        A quick client's next request comes before that. Were it handed on, the client would stay on the ordinary path.
        """
        return self._waiter is None and not self._has_request and not self._messages and self._at_boundary

    def _is_idle(self) -> bool:
        """Whether a request may begin here, and none is being read, answered or held up by a slow reader.

        The server's task waits only while nothing is queued, and whoever closes the connection ends that wait.
        """
        waiter = self._waiter
        return waiter is not None and not waiter.done() and self._at_boundary and not self._paused

    def _answered(self, data: bytes) -> bool:
        begin_s = time.monotonic()
        answer = self._answers.recognised(data, now_s=begin_s)
        if answer is not None:
            return self._sent(answer, next(self._ids), begin_s)
        if data[:5] != b"GET /":
            return False
        end = data.find(b" ", 5)
        answer = self._answers.find(data[4:end])
        get = None if answer is None else self._gets.get(data[end:])
        if answer is None or get is None or not self._answers.admits(get.authorization):
            return False
        if not get.request_id and not get.is_passed_on:
            self._answers.recognise(data, answer)
        is_theirs = is_sane_id(get.request_id)
        request_id = get.request_id.encode("ascii") if is_theirs else next(self._ids)
        return self._sent(answer, request_id, begin_s, get.forwarded_for)

    def _sent(self, answer: FinishedAnswer, request_id: bytes, begin_s: float, forwarded_for: str = "") -> bool:
        outlet = self._outlet
        if outlet is None:
            return False
        outlet.send(
            b"".join((answer.before_id, request_id, answer.before_date, self._dates.end_of_head(begin_s))), answer.body
        )
        if self._late is not None:
            self.stop_waiting()
        duration_s = time.monotonic() - begin_s
        self._next_keepalive_close_time = begin_s + self._keepalive_timeout
        self._path.on_hit(answer.file, duration_s)
        if self._asked is not None:
            self._asked[answer.target] = self._asked.get(answer.target, 0) + 1
        if self._read is not None and answer.file == "zip":
            self._read[answer.target] = None
        if self._log is not None or self._trace is not None:
            self._tell(answer, request_id, duration_s, forwarded_for)
        return True

    def _tell(self, answer: FinishedAnswer, request_id: bytes, duration_s: float, forwarded_for: str) -> None:
        """Trace and log a request that was answered."""
        path, trace_id, is_file = answer.path, "", bool(answer.file)
        if self._trace is not None:
            trace_id = self._trace(path, self._client, is_file, request_id, duration_s)
        if self._log is not None:
            duration_ms = int(duration_s * 1e6 + 0.5) / 1000  # `round` takes as long as the rest of a line
            asker = sane_addresses(forwarded_for) if forwarded_for else ""
            text_id, size_bytes = request_id.decode("ascii"), answer.body.size_bytes
            self._log(new_hit((path, size_bytes, text_id, duration_ms, is_file, self._client, trace_id, asker)))


def _address(transport: asyncio.BaseTransport) -> str:
    """Of the client as aiohttp tells it, "" on a Unix socket."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, list | tuple) else ""


class _Dates:
    """The end of a header, which is its date; made once a second."""

    def __init__(self) -> None:
        self._end, self._good_until_s = b"", 0.0

    def end_of_head(self, now_s: float) -> bytes:
        """Date, end of line, end of header; `now_s` on the clock of `time.monotonic`."""
        if now_s >= self._good_until_s:
            self._end = f"{rfc822_formatted_time()}\r\n\r\n".encode("ascii")
            self._good_until_s = now_s + 1.0 - time.time() % 1.0
        return self._end


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all connections use."""

    gets: PlainGets
    ids: Iterator[bytes]
    dates: _Dates


def _request_ids() -> Iterator[bytes]:
    """Ids in the form of `uuid.uuid4`, random but for two digits: the system call costs more than all the rest."""
    while True:
        begin = str(uuid.uuid4())[:-2].encode("ascii")
        for end in _ID_ENDS:
            yield begin + end
