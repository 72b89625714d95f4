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
from json.encoder import encode_basestring as quoted
from select import PIPE_BUF
from threading import Lock
from typing import Final, TextIO

HitLine = Callable[[str, int, str, float, bool], str]


class HitLines:
    """Lines that wait for the end of one turn of the event loop.

    Args:
        stream: where they are written.
        hit_line: makes one of path, bytes, request id, milliseconds, and whether a stored file was asked for.
    """

    def __init__(self, stream: TextIO, hit_line: HitLine) -> None:
        self._stream = stream
        self._hit_line = hit_line
        self._waiting: deque[str] = deque()
        self._writing = Lock()  # other threads log too

    def add(self, path: str, size_bytes: int, request_id: str, duration_s: float, is_file: bool) -> None:
        """A kept answer was sent; on the event loop only."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.write)
        self._waiting.append(self._hit_line(path, size_bytes, request_id, round(duration_s * 1000, 3), is_file))

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


def json_hit(path: str, size_bytes: int, request_id: str, duration_ms: float, is_file: bool) -> str:
    """A line as Athens' JSON format has it."""
    rest = _json_fields(path, size_bytes, request_id, duration_ms, is_file)
    return f'{{"time": "{_iso()}", "level": "INFO", "msg": {rest}'


def gcp_hit(path: str, size_bytes: int, request_id: str, duration_ms: float, is_file: bool) -> str:
    """A line for Google Cloud's log agent."""
    now = datetime.now().astimezone().isoformat()
    rest = _json_fields(path, size_bytes, request_id, duration_ms, is_file)
    return f'{{"timestamp": "{now}", "severity": "INFO", "message": {rest}'


def plain_hit(path: str, size_bytes: int, request_id: str, duration_ms: float, is_file: bool) -> str:
    """A line for people."""
    cache = "cache=hit " if is_file else ""
    return (
        f"INFO[{_clock()}]: incoming request\tbytes={size_bytes} {cache}duration_ms={duration_ms} "
        f"http-method=GET http-path={path} http-status=200 request-id={request_id} \n"
    )


def _json_fields(path: str, size_bytes: int, request_id: str, duration_ms: float, is_file: bool) -> str:
    cache = ', "cache": "hit"' if is_file else ""
    return (
        f'"incoming request", "http-method": "GET", "http-path": {quoted(path)}, "http-status": "200", '
        f'"request-id": {quoted(request_id)}, "duration_ms": {duration_ms}, "bytes": {size_bytes}{cache}}}\n'
    )
