"""A client of one module proxy for commands: bounded answers, our errors, and patience with a proxy that starts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

import aiohttp
from yarl import URL

from athens_proxy.errors import BadUpstreamAnswer, ProxyError, StorageError
from athens_proxy.modules import ModuleVersion
from athens_proxy.storage.disk_save import disk_reason
from athens_proxy.upstream.answers import failure_of_status, failure_of_transport

CHUNK_BYTES: Final = 1024 * 1024
CONNECT_S: Final = 10.0
IDLE_S: Final = 1800.0  # a zip comes once all of it is there; the proxy has the deadlines
RETRY_FOR_S: Final = 60.0
FIRST_DELAY_S: Final = 0.25
LONGEST_DELAY_S: Final = 5.0
_SHOWN_BYTES: Final = 2048
_PASSING: Final = (429, 503)
_PLAIN: Final[Mapping[str, str]] = {}
_T = TypeVar("_T")


class _MayPass(Exception):
    """The proxy starts, is overloaded or went away; other answers are its last word.

    Args:
        failure: what to report if it does not pass.
    """

    def __init__(self, failure: ProxyError) -> None:
        super().__init__(str(failure))
        self.failure = failure


class ProxyClient:
    """Asks one proxy.

    Args:
        session: made by `open_client`.
        base: the proxy's address with its path prefix.
        name: of the proxy, for messages.
        retry_for_s: how long failures that may pass are tried again, counted from the last success of any request.
    """

    def __init__(self, session: aiohttp.ClientSession, base: URL, *, name: str, retry_for_s: float) -> None:
        self._session = session
        self._base = base
        self._name = name
        self._retry_for_s = retry_for_s
        self._good_at = time.monotonic()

    async def read(self, path: str, *, at_most_bytes: int) -> bytes:
        """A small answer.

        Raises:
            ProxyError: the proxy refuses, has it not, or cannot be asked.
        """
        return await self._patiently(lambda: self._read(path, at_most_bytes))

    async def size_of(self, path: str) -> int:
        """How many bytes the answer would have; raises as `read`.

        Asks for the first byte, since the refusal of a HEAD has no reason in it. A proxy without ranges begins to send
        everything, which is not read.
        """
        return await self._patiently(lambda: self._size(path))

    async def download(self, path: str, into: Path) -> int:
        """Write a large answer to a new file; returns its size, raises as `read`."""
        return await self._patiently(lambda: self._download(path, into))

    async def _read(self, path: str, at_most_bytes: int) -> bytes:
        async with self._answer(path) as answer:
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > at_most_bytes:
                    raise BadUpstreamAnswer(f"{self._attempt(path)}: more than {at_most_bytes} bytes")
            return bytes(body)

    async def _size(self, path: str) -> int:
        async with self._answer(path, {"Range": "bytes=0-0"}) as answer:
            whole = answer.headers.get("Content-Range", "").rpartition("/")[2] or str(answer.content_length or 0)
            return int(whole) if whole.isdecimal() else 0

    async def _download(self, path: str, into: Path) -> int:
        size_bytes = 0
        async with self._answer(path) as answer:
            try:
                with into.open("wb", buffering=0) as file:
                    async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                        await asyncio.to_thread(_write_all, file.write, chunk)
                        size_bytes += len(chunk)
            except OSError as error:
                if isinstance(error, aiohttp.ClientError | TimeoutError):
                    raise
                raise StorageError(f"write a temporary file in {into.parent}: {disk_reason(error)}") from error
        return size_bytes

    @asynccontextmanager
    async def _answer(self, path: str, headers: Mapping[str, str] = _PLAIN) -> AsyncIterator[aiohttp.ClientResponse]:
        attempt = self._attempt(path)
        url = URL(f"{str(self._base).rstrip('/')}/{quote(path, safe='/$&+=:@~!')}", encoded=True)
        try:
            async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
                if 300 <= answer.status < 400:
                    raise BadUpstreamAnswer(f"{attempt}: it sends clients elsewhere and does not keep this module")
                if answer.status not in (200, 206 if headers else 200):
                    failure = failure_of_status(answer, await answer.content.read(_SHOWN_BYTES), attempt)
                    raise _MayPass(failure) if answer.status in _PASSING else failure
                yield answer
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise _MayPass(failure_of_transport(error, attempt)) from error

    async def _patiently(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        delay_s = FIRST_DELAY_S
        while True:
            try:
                answer = await ask()
            except _MayPass as passing:
                if time.monotonic() + delay_s - self._good_at > self._retry_for_s:
                    raise passing.failure from passing
            else:
                self._good_at = time.monotonic()
                return answer
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)

    def _attempt(self, path: str) -> str:
        return f"asking {self._name} for {path}"


@asynccontextmanager
async def open_client(
    base: URL,
    *,
    name: str,
    retry_for_s: float = RETRY_FOR_S,
    headers: Mapping[str, str] | None = None,
    unix_socket: str = "",
    connections: int,
) -> AsyncIterator[ProxyClient]:
    """A client; its connections are closed when the context ends.

    Args:
        base: the proxy's address.
        name: of the proxy, for messages.
        retry_for_s: see `ProxyClient`.
        headers: of every request, such as a credential.
        unix_socket: where the proxy listens, "" for the host and port of `base`.
        connections: at most so many at once.
    """
    connector: aiohttp.BaseConnector
    if unix_socket:
        connector = aiohttp.UnixConnector(unix_socket, limit=connections)
    else:
        connector = aiohttp.TCPConnector(limit=connections)
    session = aiohttp.ClientSession(
        connector=connector,
        headers={"User-Agent": "athens-proxy", **(headers or {})},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=IDLE_S),
        read_bufsize=CHUNK_BYTES,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )
    async with session:
        yield ProxyClient(session, base, name=name, retry_for_s=retry_for_s)


def file_path(wanted: ModuleVersion, extension: str) -> str:
    """What a proxy is asked for a file of a version."""
    return f"{wanted.path.escaped}/@v/{wanted.escaped_version}.{extension}"


def _write_all(write: Callable[[memoryview], int | None], data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[write(rest) or 0 :]
