"""Access lines of kept answers: the bytes that `observability.py` makes of such a record, without the record.

They are collected while the event loop reads what clients ask, made when it has, and written together: at once where
requests are few, else after `DELAY_S` or when there are many. The library's way (a record, a dictionary of fields, a
lock, a write and a flush for every line) costs more than the answer itself, and so does a write for a few lines.
"""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import lru_cache, partial
from json.encoder import encode_basestring as quoted
from select import PIPE_BUF
from threading import Lock
from typing import Final, NamedTuple, TextIO

DELAY_S: Final = 0.02
ENOUGH_CHARS: Final = 32 << 10
_MOST_CHARS: Final = 64 << 10  # of one write
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


new_hit: Final[Callable[[tuple[str, int, str, float, bool, str, str, str]], Hit]] = partial(tuple.__new__, Hit)
"""A hit of the values of its fields in their order, in half the time."""

MakeLines = Callable[[Iterable[Hit]], Iterable[str]]


class HitLines:
    """Lines that wait for others to be written with.

    Args:
        stream: where they are written.
        make_lines: makes them, each with its end.
    """

    def __init__(self, stream: TextIO, make_lines: MakeLines) -> None:
        self._stream = stream
        self._make_lines = make_lines
        self._most_chars = _most_chars(stream)
        self._hits: deque[Hit] = deque()
        self._lines: list[str] = []
        self._lines_chars = 0
        self._writing = Lock()  # other threads log too
        self._next_write_s = 0.0
        self._timed_for_s = 0.0

    def add(self, hit: Hit) -> None:
        """A kept answer was sent; on the event loop only."""
        if not self._hits:
            asyncio.get_running_loop().call_soon(self._turned)
        self._hits.append(hit)

    def write(self) -> None:
        """Write what waits, in order; a log that cannot be written stops nothing, as with the library."""
        with self._writing, suppress(OSError, ValueError):
            self._make()
            lines, self._lines, self._lines_chars = self._lines, [], 0
            for text in _together(lines, self._most_chars):
                self._stream.write(text)
                self._stream.flush()

    def _turned(self) -> None:
        """The event loop has read what clients asked."""
        with self._writing:
            self._make()
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        if self._lines_chars >= ENOUGH_CHARS or now_s >= self._next_write_s:
            self._next_write_s = now_s + DELAY_S
            self.write()
        elif self._timed_for_s != self._next_write_s:
            self._timed_for_s = self._next_write_s
            loop.call_at(self._next_write_s, self._write_late, self._next_write_s)

    def _write_late(self, when_s: float) -> None:
        """It is time, unless there were enough lines before it was."""
        if when_s == self._next_write_s:
            self._next_write_s = when_s + DELAY_S
            self.write()

    def _make(self) -> None:
        """The lines of the hits so far, with the time that it is now."""
        lines = list(self._make_lines([self._hits.popleft() for _ in range(len(self._hits))]))
        self._lines += lines
        self._lines_chars += sum(map(len, lines))


def _most_chars(stream: TextIO) -> int:
    """How much may be written at once: what a pipe takes whole, for other processes may write to it too."""
    try:
        is_pipe = stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):  # no file of the system
        is_pipe = True
    return PIPE_BUF if is_pipe else _MOST_CHARS


def _together(lines: Iterable[str], most_chars: int) -> Iterator[str]:
    """Lines in as few texts as may be."""
    parts: list[str] = []
    size = 0
    for line in lines:
        if size + len(line) > most_chars:
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


def json_hits(hits: Iterable[Hit]) -> Iterator[str]:
    """Lines as Athens' JSON format has them."""
    begin = f'{{"time": "{_iso()}", "level": "INFO", "msg": '
    for path, size_bytes, request_id, duration_ms, is_file, client, trace_id, forwarded_for in hits:
        trace = f', "trace-id": "{trace_id}"' if trace_id else ""
        yield (
            f"{begin}{_before_id(path)}{quoted(request_id)}{_DURATION}{_number(duration_ms)}"
            f"{_after_duration(size_bytes, client, forwarded_for, is_file)}{trace}}}\n"
        )


def gcp_hits(hits: Iterable[Hit], *, trace_prefix: str = "") -> Iterator[str]:
    """Lines for Google Cloud's log agent; `trace_prefix` makes a trace's name of its id."""
    now = datetime.now().astimezone().isoformat()
    for hit in hits:
        trace = ""
        if hit.trace_id:
            trace = f', "{GCP_TRACE}": "{trace_prefix}{hit.trace_id}", "{GCP_SAMPLED}": true'
        request = (
            f'{{"requestMethod": "GET", "requestUrl": {quoted(hit.path)}, "status": 200,'
            f' "responseSize": "{hit.size_bytes}", "latency": "{hit.duration_ms / 1000:.6f}s"'
        )
        client = f', "remoteIp": {quoted(hit.client)}' if hit.client else ""
        fields = f'{_json_fields(hit)}{trace}, "httpRequest": {request}{client}}}'
        yield f'{{"timestamp": "{now}", "severity": "INFO", "message": {fields}}}\n'


def plain_hits(hits: Iterable[Hit]) -> Iterator[str]:
    """Lines for people."""
    begin = f"INFO[{_clock()}]: incoming request\t"
    for hit in hits:
        cache = "cache=hit " if hit.is_file else ""
        client = f"client={hit.client} " if hit.client else ""
        asker = f"forwarded-for={hit.forwarded_for} " if hit.forwarded_for else ""
        trace = f"trace-id={hit.trace_id} " if hit.trace_id else ""
        yield (
            f"{begin}bytes={hit.size_bytes} {cache}{client}duration_ms={hit.duration_ms} "
            f"{asker}http-method=GET http-path={hit.path} http-status=200 request-id={hit.request_id} {trace}\n"
        )


def _json_fields(hit: Hit) -> str:
    after = _after_duration(hit.size_bytes, hit.client, hit.forwarded_for, hit.is_file)
    return f"{_before_id(hit.path)}{quoted(hit.request_id)}{_DURATION}{_number(hit.duration_ms)}{after}"


_DURATION: Final = ', "duration_ms": '
_number: Final = lru_cache(maxsize=4096)(repr)  # most durations are a few dozen microseconds


@lru_cache(maxsize=4096)
def _before_id(path: str) -> str:
    return (
        f'"incoming request", "http-method": "GET", "http-path": {quoted(path)}, "http-status": "200", "request-id": '
    )


@lru_cache(maxsize=4096)
def _after_duration(size_bytes: int, client: str, forwarded_for: str, is_file: bool) -> str:
    asker = f', "forwarded-for": {quoted(forwarded_for)}' if forwarded_for else ""
    cache = ', "cache": "hit"' if is_file else ""
    return f', "bytes": {size_bytes}{_client(client)}{asker}{cache}'


def _client(client: str) -> str:
    return f', "client": {quoted(client)}' if client else ""
