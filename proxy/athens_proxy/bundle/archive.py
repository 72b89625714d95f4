"""The container of a bundle: a zstd-compressed tar file, followed by the SHA-256 of all that.

`tar --zstd -tf` reads it: what follows the compressed data is a frame that zstd skips. The same members give the same
bytes with the same release of zstd. A reader knows after one look at every byte that nothing was lost or changed, and
accepts of tar only what this writer makes of it: plain files, names of at most `MAX_NAME_BYTES`.

Source: POSIX.1-2017 pax (ustar and pax interchange formats); RFC 8878 section 3.1.2 (skippable frames).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import BinaryIO, Final

import zstandard

LEVEL: Final = 1  # zips do not shrink; the rest is little
MAX_NAME_BYTES: Final = 4096
CHUNK_BYTES: Final = 1024 * 1024
_BLOCK: Final = 512
_MARK: Final = b"athens-bundle/1\n"
_TRAILER_START: Final = b"\x5a\x2a\x4d\x18" + (len(_MARK) + 32).to_bytes(4, "little") + _MARK
TRAILER_BYTES: Final = len(_TRAILER_START) + 32
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_MAX_WINDOW_BYTES: Final = 128 * 1024 * 1024
_PAX_PATH: Final = re.compile(rb"([1-9]\d{0,4}) path=([^\n]+)\n\Z")


class InvalidBundle(ValueError):
    """The file is no sound bundle; the message says what it is instead."""


class BundleWriter:
    """Writes members one after the other; `close` makes a bundle of them.

    Args:
        file: an empty file; stays the caller's.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._packer = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj()

    def add(self, name: str, data: bytes) -> None:
        """One member with these bytes."""
        self._write(_headers(name, len(data)) + data + _padding(len(data)))

    def add_file(self, name: str, path: Path) -> None:
        """One member with the bytes of a file."""
        with path.open("rb") as file:
            size_bytes = path.stat().st_size
            self._write(_headers(name, size_bytes))
            left = size_bytes
            while chunk := file.read(min(CHUNK_BYTES, left)):
                self._write(chunk)
                left -= len(chunk)
        if left:
            raise OSError(f"{path} became shorter while it was read")
        self._write(_padding(size_bytes))

    def close(self) -> None:
        """Write the end."""
        self._write(bytes(2 * _BLOCK))
        self._put(self._packer.flush())
        self._file.write(_TRAILER_START + self._digest.digest())

    def _write(self, data: bytes) -> None:
        self._put(self._packer.compress(data))

    def _put(self, packed: bytes) -> None:
        self._digest.update(packed)
        self._file.write(packed)


@dataclass(frozen=True, slots=True)
class Member:
    """The next member of a bundle.

    Attributes:
        name: its path, `/` between elements.
        size_bytes: how many bytes it has.
        content: where they can be read, once and in order.
    """

    name: str
    size_bytes: int
    content: MemberContent


class MemberContent:
    """The bytes of one member, read once and in order."""

    def __init__(self, stream: BinaryIO, size_bytes: int) -> None:
        self._stream = stream
        self._left = size_bytes
        self._padding = -size_bytes % _BLOCK

    def read(self, at_most_bytes: int = CHUNK_BYTES) -> bytes:
        """The next bytes, none at the end; raises `InvalidBundle` where the bundle ends too early."""
        data = _exactly(self._stream, min(at_most_bytes, self._left))
        self._left -= len(data)
        return data

    def all(self, *, at_most_bytes: int) -> bytes:
        """The whole content; raises `InvalidBundle` if it is larger than that."""
        if self._left > at_most_bytes:
            raise InvalidBundle(f"a member has {self._left} bytes where at most {at_most_bytes} are expected")
        return self.read(self._left)

    def skip(self) -> None:
        """Go to what follows the member."""
        while self.read():
            pass
        if any(_exactly(self._stream, self._padding)):
            raise InvalidBundle("there is something between its members")
        self._padding = 0


@contextmanager
def opened_bundle(path: Path) -> Iterator[Iterator[Member]]:
    """The members of a bundle, once all its bytes were found to be those that were written.

    Raises:
        InvalidBundle: it is another kind of file, cut off, or changed.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        body_bytes = _checked_bytes(file, path.stat().st_size)
        file.seek(0)
        unpacker = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
        with unpacker.stream_reader(BufferedReader(_Beginning(file, body_bytes), CHUNK_BYTES)) as stream:
            yield _members(stream)


def _checked_bytes(file: BinaryIO, size_bytes: int) -> int:
    """How many bytes come before the sum, which is right."""
    if file.read(len(_ZSTD)) != _ZSTD:
        raise InvalidBundle("it is no bundle: `athens-proxy export` makes them")
    body_bytes = size_bytes - TRAILER_BYTES
    file.seek(max(body_bytes, 0))
    trailer = file.read(TRAILER_BYTES)
    if body_bytes < len(_ZSTD) or not trailer.startswith(_TRAILER_START):
        raise InvalidBundle("it is cut off, or was not made by `athens-proxy export`; copy it again")
    file.seek(0)
    digest, left = hashlib.sha256(), body_bytes
    while chunk := file.read(min(CHUNK_BYTES, left)):
        digest.update(chunk)
        left -= len(chunk)
    if trailer[len(_TRAILER_START) :] != digest.digest():
        raise InvalidBundle("its bytes are not those that were exported: it was damaged or changed; copy it again")
    return body_bytes


def _members(stream: BinaryIO) -> Iterator[Member]:
    try:
        while header := _header(stream):
            name, size_bytes = header
            content = MemberContent(stream, size_bytes)
            yield Member(name, size_bytes, content)
            content.skip()
        if any(_exactly(stream, _BLOCK)) or stream.read(1):
            raise InvalidBundle("something follows its end")
    except zstandard.ZstdError as error:
        raise InvalidBundle(f"it cannot be decompressed: {error}") from error


def _header(stream: BinaryIO) -> tuple[str, int] | None:
    """Name and size of the next member, None at the end."""
    block = _exactly(stream, _BLOCK)
    if not any(block):
        return None
    long_name = b""
    if block[156:157] == b"x":
        record = MemberContent(stream, _size(block))
        match = _PAX_PATH.match(record.all(at_most_bytes=MAX_NAME_BYTES + 16))
        record.skip()
        long_name = match[2] if match else b""
        block = _exactly(stream, _BLOCK)
    name, size_bytes = long_name or _short_name(block), _size(block)
    text = name.decode("utf-8", "surrogateescape")
    if not text.isprintable() or block != _headers(text, size_bytes)[-_BLOCK:]:
        raise InvalidBundle("it holds something that `athens-proxy export` does not write")
    return text, size_bytes


def _short_name(block: bytes) -> bytes:
    name, prefix = block[:100].rstrip(b"\0"), block[345:500].rstrip(b"\0")
    return prefix + b"/" + name if prefix else name


def _size(block: bytes) -> int:
    digits = block[124:135]
    if re.fullmatch(rb"[0-7]{11}", digits) is None:
        raise InvalidBundle("it holds something that `athens-proxy export` does not write")
    return int(digits, 8)


def _headers(name: str, size_bytes: int) -> bytes:
    """The header blocks of a member; of long names, the name stands in one of its own before."""
    encoded = name.encode()
    if len(encoded) > MAX_NAME_BYTES or size_bytes >= 8**11:
        raise ValueError(f"{name[:100]}: too long or too large for a bundle")
    if len(encoded) <= 100:
        return _ustar(encoded, b"", size_bytes, b"0")
    split = encoded.find(b"/", len(encoded) - 101)
    if 0 < split <= 155 and split < len(encoded) - 1:
        return _ustar(encoded[split + 1 :], encoded[:split], size_bytes, b"0")
    record = _pax_record(encoded)
    extra = _ustar(b"pax", b"", len(record), b"x") + record + _padding(len(record))
    return extra + _ustar(b"long-name", b"", size_bytes, b"0")


def _ustar(name: bytes, prefix: bytes, size_bytes: int, kind: bytes) -> bytes:
    fields = (
        name.ljust(100, b"\0"),
        b"0000644\0" + b"0000000\0" * 2,
        b"%011o\0" % size_bytes,
        b"00000000000\0",
        b" " * 8,
        kind + bytes(100) + b"ustar\x0000" + bytes(64) + b"0000000\0" * 2,
        prefix.ljust(155, b"\0") + bytes(12),
    )
    block = b"".join(fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _pax_record(path: bytes) -> bytes:
    rest = b" path=" + path + b"\n"
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def _padding(size_bytes: int) -> bytes:
    return bytes(-size_bytes % _BLOCK)


def _exactly(stream: BinaryIO, size_bytes: int) -> bytes:
    data = bytearray()
    while len(data) < size_bytes:
        chunk = stream.read(size_bytes - len(data))
        if not chunk:
            raise InvalidBundle("it ends in the middle of a member")
        data += chunk
    return bytes(data)


class _Beginning(RawIOBase):
    """The first bytes of a file as a stream."""

    def __init__(self, file: BinaryIO, size_bytes: int) -> None:
        self._file = file
        self._left = size_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        data = self._file.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)
