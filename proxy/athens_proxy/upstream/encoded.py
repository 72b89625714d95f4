"""The body of an HTTP answer as its sender meant it: gzip undone, and only if it came whole.

The HTTP library takes a gzip body that ends early for a whole one, and half a go.mod would be stored for good. Like the
go command this asks for gzip alone, takes concatenated members, and passes encodings on that it has no name for: some
object stores answer with one of how a file was uploaded.

Source: RFC 9110, section 8.4; RFC 1952; Go's net/http/transport.go (gzipReader)
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Final

import aiohttp

from athens_proxy.errors import BadUpstreamAnswer

_GZIP: Final = frozenset({"gzip", "x-gzip"})
_UNASKED: Final = frozenset({"br", "compress", "deflate", "zstd"})
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


async def decoded_chunks(answer: aiohttp.ClientResponse, attempt: str, *, chunk_bytes: int) -> AsyncIterator[bytes]:
    """The content of an answer that was asked for without automatic decompression.

    Args:
        answer: its header has come.
        attempt: what was tried, for messages.
        chunk_bytes: no chunk is longer.

    Raises:
        BadUpstreamAnswer: it is gzip and damaged or cut off, or compressed in a way that was not asked for.
    """
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    if encoding in _UNASKED:
        raise BadUpstreamAnswer(f"{attempt}: the answer is compressed as {encoding}, which was not asked for")
    gzip = _Gunzip(chunk_bytes) if encoding in _GZIP else None
    async for chunk in answer.content.iter_chunked(chunk_bytes):
        if gzip is None:
            yield chunk
            continue
        try:
            for part in gzip.parts(chunk):
                yield part
        except zlib.error as error:
            raise BadUpstreamAnswer(f"{attempt}: the answer is damaged gzip") from error
    if gzip is not None and not gzip.is_whole:
        raise BadUpstreamAnswer(f"{attempt}: the answer was cut off within its gzip")


class _Gunzip:
    """Undoes gzip piece by piece; no body at all is whole."""

    def __init__(self, chunk_bytes: int) -> None:
        self._chunk_bytes = chunk_bytes
        self._member = zlib.decompressobj(_GZIP_WINDOW)
        self.is_whole = True

    def parts(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP_WINDOW)
            yield self._member.decompress(data, self._chunk_bytes)
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            self.is_whole = self._member.eof
