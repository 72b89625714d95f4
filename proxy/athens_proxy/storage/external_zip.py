"""A zip behind an HTTP service: on its way when it is opened, asked for again for a range."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import IO

import aiohttp

from athens_proxy.errors import StorageError
from athens_proxy.storage.storage import CHUNK_BYTES

Ask = Callable[[str], Awaitable[aiohttp.ClientResponse]]


class ExternalZip:
    """One open zip.

    Args:
        ask: asks for the zip; its argument is a Range header or "".
        attempt: what is read where, for messages.
        size_bytes: of the whole zip.
        response: the zip from its first byte.
        spooled: the zip in a local file, where the service does not announce its size.
    """

    def __init__(
        self,
        ask: Ask,
        attempt: str,
        size_bytes: int,
        *,
        response: aiohttp.ClientResponse | None = None,
        spooled: IO[bytes] | None = None,
    ) -> None:
        self._ask = ask
        self._attempt = attempt
        self._size_bytes = size_bytes
        self._from_start = response
        self._spooled = spooled

    @classmethod
    async def opened(cls, ask: Ask, attempt: str) -> ExternalZip:
        """Ask for a zip; one of unannounced size goes to a temporary file first, since readers need the size.

        Raises:
            ModuleNotFound, StorageError: as `ask`; the service failed on the way.
        """
        response = await ask("")
        if response.content_length is not None:
            return cls(ask, attempt, response.content_length, response=response)
        spooled = tempfile.TemporaryFile()  # noqa: SIM115 closed by the zip
        try:
            async for chunk in _body(response, attempt):
                await asyncio.to_thread(spooled.write, chunk)
        except BaseException:
            spooled.close()
            raise
        finally:
            response.release()
        return cls(ask, attempt, spooled.tell(), spooled=spooled)

    @property
    def size_bytes(self) -> int:
        """Size of the whole zip."""
        return self._size_bytes

    async def chunks(self, *, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of a range in chunks of at most `CHUNK_BYTES`.

        Raises:
            StorageError: the service failed, or ended too early.
        """
        end = self._size_bytes if length is None else min(self._size_bytes, offset + length)
        if offset >= end:
            return
        missing = end - offset
        async for chunk in self._spooled_chunks(offset) if self._spooled else self._asked_chunks(offset, end):
            part = chunk[:missing]
            missing -= len(part)
            yield part
            if not missing:
                return
        raise StorageError(f"{self._attempt}: {missing} bytes are missing; ask again")

    async def _spooled_chunks(self, offset: int) -> AsyncIterator[bytes]:
        assert self._spooled is not None  # noqa: S101 the caller looked
        self._spooled.seek(offset)
        while chunk := await asyncio.to_thread(self._spooled.read, CHUNK_BYTES):
            yield chunk

    async def _asked_chunks(self, offset: int, end: int) -> AsyncIterator[bytes]:
        if offset == 0 and self._from_start is not None:
            response, self._from_start = self._from_start, None
        else:
            response = await self._ask(f"bytes={offset}-{end - 1}")
        skip = 0 if response.status == 206 else offset
        try:
            async for chunk in _body(response, self._attempt):
                if skip < len(chunk):
                    yield chunk[skip:]
                skip = max(0, skip - len(chunk))
        finally:
            response.release()

    async def __aenter__(self) -> ExternalZip:
        """Return itself."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close what was not read."""
        if self._from_start is not None:
            self._from_start.release()
        if self._spooled is not None:
            self._spooled.close()


async def _body(response: aiohttp.ClientResponse, attempt: str) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            yield chunk
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise StorageError(f"{attempt}: the service failed on the way: {str(error) or 'it stopped'}") from error
