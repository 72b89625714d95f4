"""A module proxy over HTTP: pooled connections, bounded bodies, statuses as domain errors.

A flowing body has no total deadline; each wait for bytes has one. Redirects are followed here rather than by the client
library, because credentials may only ever reach the host they were given for, and https never falls back to http.

Source: https://go.dev/ref/mod#goproxy-protocol; cmd/go/internal/web/http.go for redirects and credentials
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import aiohttp
from yarl import URL

from athens_proxy.errors import BadUpstreamAnswer, UpstreamThrottled, UpstreamTimeout
from athens_proxy.upstream.answers import failure_of_status, failure_of_transport
from athens_proxy.upstream.authorize import SHOW_NOTHING, Authorize
from athens_proxy.upstream.connecting import PatientConnector, patience
from athens_proxy.upstream.encoded import decoded_chunks
from athens_proxy.upstream.hops import HttpHop
from athens_proxy.upstream.outbound import OutboundProxies
from athens_proxy.upstream.throttle import Throttle
from athens_proxy.upstream.transport import scratch_failure
from athens_proxy.upstream.whole_mod import Unmarked

CHUNK_BYTES: Final = 256 * 1024
MAX_REDIRECTS: Final = 10
NO_PROXIES: Final = OutboundProxies()
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SHOWN_BODY_BYTES: Final = 2048
_KEEPALIVE_S: Final = 60.0
_HEADER_BYTES: Final = 64 * 1024  # of one; company proxies send more than aiohttp's 8,190
_HEADERS: Final = 1000
_GZIP: Final = {"Accept-Encoding": "gzip"}
_IDENTITY: Final = {"Accept-Encoding": "identity"}
_CONNECT_TRIES: Final = 2  # aiohttp repeats each GET once by itself, at once


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Deadlines of one request.

    Attributes:
        connect_s: seconds for a TCP connection and the TLS handshake on it, which the go command gives 10, too.
        connection_s: seconds for a whole connection, with the name's look-up and the forward proxy's own connection.
        idle_s: seconds for the header of an answer, and without a single byte within its body.
        small_file_s: seconds for a whole small file (list, info, mod), however it trickles.
        retry_delay_s: mean wait before a connection that broke without an answer is tried again.
        error_body_s: seconds for what an error says of itself; its status alone is an answer.
    """

    connect_s: float = 10.0
    connection_s: float = 30.0
    idle_s: float = 60.0
    small_file_s: float = 120.0
    retry_delay_s: float = 0.2
    error_body_s: float = 5.0


def open_upstream_session(observers: Sequence[aiohttp.TraceConfig] = ()) -> aiohttp.ClientSession:
    """The one session for all upstreams: no cookies, no credentials of its own; observers are told of each request."""
    return aiohttp.ClientSession(
        connector=PatientConnector(limit=0, limit_per_host=64, ttl_dns_cache=60, keepalive_timeout=_KEEPALIVE_S),
        read_bufsize=CHUNK_BYTES,
        max_line_size=_HEADER_BYTES,
        max_field_size=_HEADER_BYTES,
        max_headers=_HEADERS,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "athens-proxy"},
        trust_env=False,
        trace_configs=list(observers),
    )


class HttpTransport:
    """Reads one upstream module proxy; a `ProxyTransport`.

    Args:
        session: shared by all upstreams; the composition root opens and closes it.
        hop: the proxy's address and credential.
        outbound: forward proxies on the way to it.
        throttle: shared by all transports that may ask the same host.
        authorize: knows the credential where the hop's address has none.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        hop: HttpHop,
        limits: HttpLimits,
        *,
        outbound: OutboundProxies = NO_PROXIES,
        throttle: Throttle | None = None,
        authorize: Authorize = SHOW_NOTHING,
    ) -> None:
        self._session = session
        self._authorize = authorize
        self._throttle = throttle or Throttle()
        self._outbound = outbound
        self._hop = hop
        self._limits = limits

    async def read(self, path: str, *, at_most_bytes: int) -> bytes:
        """The whole of a small file; see `ProxyTransport.read`."""
        try:
            async with asyncio.timeout(self._limits.small_file_s), self._answer(path, _GZIP) as answer:
                body = await _bounded_body(answer, path, at_most_bytes)
                told = answer.content_length is not None or "Transfer-Encoding" in answer.headers
                return body if told else Unmarked(body)
        except TimeoutError as error:
            raise UpstreamTimeout(f"reading {path} from {self._hop}: no complete answer in time") from error

    async def download(self, path: str, into: Path, *, at_most_bytes: int) -> int:
        """Write a large file; see `ProxyTransport.download`."""
        async with self._answer(path, _IDENTITY) as answer:
            size = 0
            with _Scratch(into) as file:
                pending = bytearray()  # few hops to a thread: each costs more than the write
                attempt = f"reading {path} from {self._hop}"
                async for chunk in decoded_chunks(answer, attempt, chunk_bytes=CHUNK_BYTES):
                    size += len(chunk)
                    if size > at_most_bytes:
                        raise BadUpstreamAnswer(f"{attempt}: more than {at_most_bytes} bytes")
                    pending += chunk
                    if len(pending) >= CHUNK_BYTES:
                        await asyncio.to_thread(file.write, bytes(pending))
                        pending.clear()
                await asyncio.to_thread(file.write, bytes(pending))
            if answer.content_length not in (None, size) and "Content-Encoding" not in answer.headers:
                raise BadUpstreamAnswer(
                    f"reading {path} from {self._hop}: {size} bytes came instead of {answer.content_length}"
                )
            return size

    @asynccontextmanager
    async def _answer(self, path: str, headers: dict[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        attempt = f"reading {path} from {self._hop}"
        url = self._url(path)
        self._throttle.refuse(url, attempt)
        try:
            answer = await self._redirected(url, headers, attempt)
            async with answer:
                if answer.status != 200:
                    failure = failure_of_status(answer, await _shown_body(answer, self._limits.error_body_s), attempt)
                    if isinstance(failure, UpstreamThrottled):
                        self._throttle.hold(url, failure)
                    raise failure
                yield answer
        except (aiohttp.ClientError, TimeoutError, OSError, UnicodeError) as error:  # the last: names no DNS can have
            raise failure_of_transport(error, attempt) from error

    async def _redirected(self, url: URL, headers: dict[str, str], attempt: str) -> aiohttp.ClientResponse:
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._let_in(url, headers)
            if answer.status not in _REDIRECTS or "Location" not in answer.headers:
                return answer
            answer.release()
            target = _redirect_target(url, answer.headers["Location"], attempt)
            if url.scheme == "https" and target.scheme != "https":
                raise BadUpstreamAnswer(f"{attempt}: redirected from a secure address to an insecure one")
            url = target
        raise BadUpstreamAnswer(f"{attempt}: stopped after {MAX_REDIRECTS} redirects")

    async def _let_in(self, url: URL, headers: dict[str, str]) -> aiohttp.ClientResponse:
        """The answer; asked once more where a credential was refused that has a successor by now."""
        shown = await self._credential_for(url)
        answer = await self._connected(url, headers | self._header(shown))
        if answer.status != 401 or not shown or self._hop.authorization:
            return answer
        self._authorize.refused(url, shown)
        present = await self._credential_for(url)
        if present == shown:
            return answer
        answer.release()
        return await self._connected(url, headers | self._header(present))

    async def _connected(self, url: URL, headers: dict[str, str]) -> aiohttp.ClientResponse:
        limits = self._limits
        timeout = aiohttp.ClientTimeout(
            total=None, connect=None, sock_connect=limits.connect_s, sock_read=limits.idle_s
        )
        for tries_left in reversed(range(_CONNECT_TRIES)):
            try:
                async with patience(connection_s=limits.connection_s, answer_s=limits.idle_s):
                    return await self._session.get(
                        url,
                        headers=headers,
                        allow_redirects=False,
                        auto_decompress=False,
                        timeout=timeout,
                        proxy=self._outbound.for_url(url),
                    )
            except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError, TimeoutError):
                raise
            except (aiohttp.ClientConnectionError, ConnectionError):
                if not tries_left:
                    raise
            await asyncio.sleep(random.uniform(0.5, 1.5) * self._limits.retry_delay_s)  # noqa: S311 - jitter, no secret
        raise AssertionError("the last try returns or raises")

    async def _credential_for(self, url: URL) -> str:
        if url.scheme != "https" or url.origin() != self._hop.url.origin():
            return ""
        return self._hop.authorization or await self._authorize(url)

    @staticmethod
    def _header(authorization: str) -> dict[str, str]:
        return {"Authorization": authorization} if authorization else {}

    def _url(self, path: str) -> URL:
        base = self._hop.url
        escaped = quote(path, safe="/$&+=:@~")
        return base.with_path(f"{base.raw_path.rstrip('/')}/{escaped}", encoded=True, keep_query=True)


class _Scratch:
    """A new temporary file whose failures are ours (`StorageError`), never taken for the upstream's."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> _Scratch:
        try:
            self._file = self._path.open("xb", buffering=0)
        except OSError as error:
            raise scratch_failure(error, self._path) from error
        return self

    def write(self, data: bytes) -> None:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        except OSError as error:
            raise scratch_failure(error, self._path) from error

    def __exit__(self, *exc: object) -> None:
        self._file.close()


def _redirect_target(url: URL, location: str, attempt: str) -> URL:
    try:
        target = url.join(URL(location, encoded=True))
        host, _ = target.host, target.port  # both are only read now
    except (ValueError, IndexError) as error:  # yarl fails with the latter on some brackets
        raise BadUpstreamAnswer(f"{attempt}: redirected to an invalid address") from error
    if target.scheme not in ("http", "https") or not host:
        raise BadUpstreamAnswer(f"{attempt}: redirected to an address that is not http or https")
    return target.with_user(None)


async def _bounded_body(answer: aiohttp.ClientResponse, path: str, at_most_bytes: int) -> bytes:
    body = bytearray()
    attempt = f"reading {path} from {answer.url.origin()}"
    async for chunk in decoded_chunks(answer, attempt, chunk_bytes=CHUNK_BYTES):
        body += chunk
        if len(body) > at_most_bytes:
            raise BadUpstreamAnswer(f"{attempt}: more than {at_most_bytes} bytes")
    return bytes(body)


async def _shown_body(answer: aiohttp.ClientResponse, within_s: float) -> bytes:
    """The start of an error body; what cannot be read of it is no second failure."""
    body = bytearray()
    try:
        async with asyncio.timeout(within_s):
            async for chunk in decoded_chunks(answer, "", chunk_bytes=_SHOWN_BODY_BYTES):
                body += chunk
                if len(body) >= _SHOWN_BODY_BYTES:
                    break
    except (aiohttp.ClientError, TimeoutError, OSError, BadUpstreamAnswer):
        return bytes(body)
    return bytes(body)
