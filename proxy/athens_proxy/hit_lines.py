"""Access lines of kept answers: the bytes that `observability.py` makes of such a record, without the record.

They are collected while the event loop reads what clients ask, and written together when it has. The library's way
(a record, a dictionary of fields, a lock, a write and a flush for every line) costs more than the answer itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from json.encoder import encode_basestring as quoted
from select import PIPE_BUF
from threading import Lock
from typing import Final, NamedTuple, TextIO

GCP_TRACE: Final = "logging.googleapis.com/trace"
GCP_SAMPLED: Final = "logging.googleapis.com/trace_sampled"


class Hit(NamedTuple):
    """What an access line of a kept answer says; a tuple, since one is made for every such request.

    Attributes:
        path: of the request.
        size_bytes: of the body.
        request_id: of the request.
        duration_ms: of the request.
        is_file: whether a stored file was asked for.
        client: address of whoever asked, "" if it has none.
        trace_id: of the trace that was recorded, "" for none.
        forwarded_for: for whom the client says it asks, "" for nobody.
    """

    path: str
    size_bytes: int
    request_id: str
    duration_ms: float
    is_file: bool
    client: str = ""
    trace_id: str = ""
    forwarded_for: str = ""


HitLine = Callable[[Hit], str]


class HitLines:
    """Lines that wait for the end of one turn of the event loop.

    Args:
        stream: where they are written.
        hit_line: makes one.
    """

    def __init__(self, stream: TextIO, hit_line: HitLine) -> None:
        self._stream = stream
        self._hit_line = hit_line
        self._waiting: deque[str] = deque()
        self._writing = Lock()  # other threads log too

    def add(self, hit: Hit) -> None:
        """A kept answer was sent; on the event loop only."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.write)
        self._waiting.append(self._hit_line(hit))

    def write(self) -> None:
        """Write what waits, in order; a log that cannot be written stops nothing, as with the library."""
        with self._writing, suppress(OSError, ValueError):
            for text in _together([self._waiting.popleft() for _ in range(len(self._waiting))]):
                self._stream.write(text)
                self._stream.flush()


def _together(lines: Iterable[str]) -> Iterator[str]:
    """Lines in as few texts as a pipe takes whole: other processes may write to it too."""
    parts: list[str] = []
    size = 0
    for line in lines:
        if size + len(line) > PIPE_BUF:
            yield "".join(parts)
            parts, size = [], 0
        parts.append(line)
        size += len(line)
    if parts:
        yield "".join(parts)


class _Now:
    """The time as text, made again when the second changes."""

    def __init__(self, render: Callable[[datetime], str]) -> None:
        self._render = render
        self._second, self._text = 0, ""

    def __call__(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second, self._text = second, self._render(datetime.fromtimestamp(second).astimezone())
        return self._text


_iso: Final = _Now(lambda now: now.isoformat(timespec="seconds"))
_clock: Final = _Now(lambda now: f"{now.hour % 12 or 12}:{now:%M%p}")


def json_hit(hit: Hit) -> str:
    """A line as Athens' JSON format has it."""
    trace = f', "trace-id": "{hit.trace_id}"' if hit.trace_id else ""
    return f'{{"time": "{_iso()}", "level": "INFO", "msg": {_json_fields(hit)}{trace}}}\n'


def gcp_hit(hit: Hit, *, trace_prefix: str = "") -> str:
    """A line for Google Cloud's log agent; `trace_prefix` makes a trace's name of its id."""
    now = datetime.now().astimezone().isoformat()
    trace = ""
    if hit.trace_id:
        trace = f', "{GCP_TRACE}": "{trace_prefix}{hit.trace_id}", "{GCP_SAMPLED}": true'
    request = (
        f'{{"requestMethod": "GET", "requestUrl": {quoted(hit.path)}, "status": 200,'
        f' "responseSize": "{hit.size_bytes}", "latency": "{hit.duration_ms / 1000:.6f}s"'
    )
    client = f', "remoteIp": {quoted(hit.client)}' if hit.client else ""
    fields = f'{_json_fields(hit)}{trace}, "httpRequest": {request}{client}}}'
    return f'{{"timestamp": "{now}", "severity": "INFO", "message": {fields}}}\n'


def plain_hit(hit: Hit) -> str:
    """A line for people."""
    cache = "cache=hit " if hit.is_file else ""
    client = f"client={hit.client} " if hit.client else ""
    asker = f"forwarded-for={hit.forwarded_for} " if hit.forwarded_for else ""
    trace = f"trace-id={hit.trace_id} " if hit.trace_id else ""
    return (
        f"INFO[{_clock()}]: incoming request\tbytes={hit.size_bytes} {cache}{client}duration_ms={hit.duration_ms} "
        f"{asker}http-method=GET http-path={hit.path} http-status=200 request-id={hit.request_id} {trace}\n"
    )


def _json_fields(hit: Hit) -> str:
    cache = ', "cache": "hit"' if hit.is_file else ""
    asker = f', "forwarded-for": {quoted(hit.forwarded_for)}' if hit.forwarded_for else ""
    return (
        f"{_before_id(hit.path)}{quoted(hit.request_id)}, "
        f'"duration_ms": {hit.duration_ms}, "bytes": {hit.size_bytes}{_client(hit.client)}{asker}{cache}'
    )


@lru_cache(maxsize=4096)
def _before_id(path: str) -> str:
    return (
        f'"incoming request", "http-method": "GET", "http-path": {quoted(path)}, "http-status": "200", "request-id": '
    )


@lru_cache(maxsize=1024)
def _client(client: str) -> str:
    return f', "client": {quoted(client)}' if client else ""
