"""Statuses, headers and bodies: the one table from errors to statuses, and one place for the headers of every kind."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from athens_proxy.errors import (
    AccessDenied,
    ChecksumMismatch,
    IndexUnavailable,
    InvalidPath,
    InvalidVersion,
    ModuleNotFound,
    NotServed,
    NotSupported,
    Overloaded,
    ProxyError,
    StorageError,
    StorageFull,
    UpstreamDenied,
    UpstreamError,
    UpstreamThrottled,
    UpstreamTimeout,
)
from athens_proxy.storage.storage import StoredZip
from athens_proxy.web.file_sending import is_file, send_file, takes_files

STATUS: Final[Mapping[type[ProxyError], int]] = {
    ModuleNotFound: 404,
    AccessDenied: 403,
    UpstreamDenied: 403,
    UpstreamError: 502,
    UpstreamThrottled: 429,
    UpstreamTimeout: 504,
    StorageError: 500,
    StorageFull: 503,
    NotSupported: 501,
    IndexUnavailable: 500,
    Overloaded: 503,
}
# What `UpstreamErrors = notfound` turns into absence, as Athens does; a wrong checksum must never look like absence.
_LENIENT: Final = (UpstreamDenied, UpstreamError, UpstreamThrottled, UpstreamTimeout)

REQUEST_ID: Final = "Athens-Request-ID"
REQUEST_ID_KEY: Final = web.RequestKey("request_id", str)
STREAMING_SINCE: Final = web.RequestKey("streaming_since", float)  # set by answers that have no end of their own
JSON: Final = "application/json; charset=utf-8"
TEXT: Final = "text/plain; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"
ZIP: Final = "application/zip"
_WEEK: Final = "max-age=604800, immutable"
_MINUTE: Final = "max-age=60"
_DAY: Final = "max-age=86400"
_NO_STORE: Final = "no-store"
INLINE_BYTES: Final = 256 * 1024  # up to here one write is quicker than a stream, measured with 232 kB
MAX_REASON: Final = 600  # the go command shows at most 648 bytes of a body
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def status_of(error: ProxyError, *, upstream_errors: str) -> int:
    """The status of a failure.

    Args:
        error: what went wrong.
        upstream_errors: `strict`, or `notfound` so that `GOPROXY=proxy,direct` falls through.
    """
    if upstream_errors == "notfound" and isinstance(error, _LENIENT) and not isinstance(error, ChecksumMismatch):
        return 404
    return next((STATUS[cls] for cls in type(error).__mro__ if cls in STATUS), 500)


@dataclass(frozen=True, slots=True)
class CacheScope:
    """Whether shared caches may keep answers: not when clients have to show who they are."""

    private: bool

    def control(self, ages: str) -> str:
        """The `Cache-Control` of an answer with these ages."""
        return f"{'private' if self.private else 'public'}, {ages}"


class Responses:
    """Builds responses.

    Args:
        cache: who may keep them.
        upstream_errors: see `status_of`.
    """

    def __init__(self, cache: CacheScope, *, upstream_errors: str) -> None:
        self._cache = cache
        self._upstream_errors = upstream_errors

    def changing(self, body: bytes, content_type: str) -> web.Response:
        """A list, `@latest` or the answer to a query: kept for a minute."""
        return _response(body, content_type, {"Cache-Control": self._cache.control(_MINUTE)})

    def immutable(self, request: web.BaseRequest, body: bytes, content_type: str) -> web.Response:
        """A file that never changes and fits in memory, whole or the range that is asked for."""
        headers = self._immutable_headers(hashlib.sha256(body).hexdigest()[:32])
        if _is_known(request, headers["ETag"]):
            return web.Response(status=304, headers=headers)
        part = _range(request, len(body), headers["ETag"])
        return _response(body[part.start : part.end], content_type, {**headers, **part.headers}, status=part.status)

    async def zip(self, request: web.BaseRequest, stored: StoredZip, name: str) -> web.StreamResponse:
        """A zip, streamed; the context of `stored` is the caller's."""
        tag = hashlib.sha256(f"{name} {stored.size_bytes}".encode()).hexdigest()[:32]
        headers = self._immutable_headers(tag)
        if _is_known(request, headers["ETag"]):
            return web.Response(status=304, headers=headers)
        part = _range(request, stored.size_bytes, headers["ETag"])
        headers = {**headers, **part.headers, "Content-Type": ZIP, "Content-Length": str(part.end - part.start)}
        if request.method == "HEAD" or part.end - part.start <= INLINE_BYTES:
            body = b"" if request.method == "HEAD" else await _whole(stored, part)
            return web.Response(body=body or None, status=part.status, headers=headers)
        return await _streamed(request, stored, part, headers)

    def error(self, error: ProxyError, *, request_id: str) -> web.Response:
        """A failure as one printable line that the go command shows."""
        status = status_of(error, upstream_errors=self._upstream_errors)
        headers = {"Cache-Control": self._error_cache(error, status)}
        if isinstance(error, UpstreamThrottled) and status == 429:
            headers["Retry-After"] = str(error.retry_after_s or 60)
        if isinstance(error, Overloaded):
            headers["Retry-After"] = "5"
        return self.line(status, reason(error, status), headers, request_id=request_id)

    def line(
        self, status: int, text: str, headers: Mapping[str, str] | None = None, *, request_id: str = ""
    ) -> web.Response:
        """One line of text; statuses from 500 on name the request, so that its log lines can be found."""
        suffix = f" (request {request_id})" if status >= 500 and request_id else ""
        body = f"{printable(text)}{suffix}\n".encode()
        return _response(body, TEXT, {"Cache-Control": _NO_STORE, **(headers or {})}, status=status)

    def _immutable_headers(self, tag: str) -> dict[str, str]:
        return {"Cache-Control": self._cache.control(_WEEK), "ETag": f'"{tag}"', "Accept-Ranges": "bytes"}

    def _error_cache(self, error: ProxyError, status: int) -> str:
        if isinstance(error, InvalidPath | InvalidVersion):
            return self._cache.control(_DAY)
        if status == 404 and isinstance(error, ModuleNotFound) and not isinstance(error, NotServed):
            return self._cache.control(_MINUTE)
        return _NO_STORE


def reason(error: ProxyError, status: int) -> str:
    """The text of a failure; absence always begins with `not found: `, which users know from public proxies."""
    text = str(error) or type(error).__name__
    return f"not found: {text}" if status == 404 and not text.startswith("not found") else text


def printable(text: str) -> str:
    """One line without control characters, of about `MAX_REASON` bytes: others the go command would not show.

    What is too long loses its middle: it begins with what was attempted and ends with why it failed.
    """
    line = "".join(c if c.isprintable() else " " for c in text).strip()
    data = line.encode("utf-8", "replace")
    if len(data) <= MAX_REASON:
        return line
    begin, end = data[: MAX_REASON // 2], data[-MAX_REASON // 2 :]
    return f"{begin.decode('utf-8', 'ignore')}…{end.decode('utf-8', 'ignore')}"


def signature(request: web.BaseRequest) -> dict[str, str]:
    """The headers of every answer; the gate adds them to those that are not on their way yet."""
    return {REQUEST_ID: request[REQUEST_ID_KEY], "Server": "athens-proxy"}


@dataclass(frozen=True, slots=True)
class _Part:
    start: int
    end: int
    status: int
    headers: Mapping[str, str]


def _range(request: web.BaseRequest, size_bytes: int, etag: str) -> _Part:
    """The part that is asked for; ranges that we do not understand or that are of other bytes mean the whole."""
    whole = _Part(0, size_bytes, 200, {})
    match = _RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    if match is None or not any(match.groups()) or request.headers.get("If-Range", etag) != etag:
        return whole
    first, last = match.groups()
    start = int(first) if first else max(0, size_bytes - int(last))
    end = min(size_bytes, int(last) + 1) if first and last else size_bytes
    if first and last and int(last) < int(first):
        return whole
    if start >= size_bytes or (not first and int(last) == 0):
        return _Part(0, 0, 416, {"Content-Range": f"bytes */{size_bytes}"})
    return _Part(start, end, 206, {"Content-Range": f"bytes {start}-{end - 1}/{size_bytes}"})


def _is_known(request: web.BaseRequest, etag: str) -> bool:
    known = request.headers.get("If-None-Match", "")
    return known.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in known.split(","))


def _response(body: bytes, content_type: str, headers: Mapping[str, str], *, status: int = 200) -> web.Response:
    known = {"Content-Type": content_type, **headers}
    if len(body) <= INLINE_BYTES:
        return web.Response(body=body, status=status, headers=known)
    # A long one is written piece by piece as the client takes it: at once, it would lie in memory three times.
    return web.Response(body=io.BytesIO(body), status=status, headers={**known, "Content-Length": str(len(body))})


async def _whole(stored: StoredZip, part: _Part) -> bytes:
    return b"".join([chunk async for chunk in stored.chunks(offset=part.start, length=part.end - part.start)])


async def _streamed(
    request: web.BaseRequest, stored: StoredZip, part: _Part, headers: Mapping[str, str]
) -> web.StreamResponse:
    response = web.StreamResponse(status=part.status, headers={**headers, **signature(request)})
    writer = await response.prepare(request)
    transport = request.transport
    try:
        if transport is not None and writer is not None and is_file(stored) and takes_files(transport):
            await _head_sent(transport, writer)
            await send_file(transport, stored.descriptor, offset=part.start, size_bytes=part.end - part.start)
        else:
            async for chunk in stored.chunks(offset=part.start, length=part.end - part.start):
                await response.write(chunk)
    except StorageError:
        # The status is on its way: only a cut connection can still tell the client that this is not the zip.
        if transport is not None:
            transport.abort()
        raise
    await response.write_eof()
    return response


async def _head_sent(transport: asyncio.Transport, writer: AbstractStreamWriter) -> None:
    """Return when nothing that was written waits in this process any more."""
    transport.set_write_buffer_limits(high=0)
    try:
        writer.send_headers()
        await writer.drain()
    finally:
        transport.set_write_buffer_limits()
