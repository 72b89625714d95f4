"""The entries of a zip file, read as Go's archive/zip reads them, and their contents as streams.

Not `zipfile` of the standard library: it decodes names as code page 437 and so hides the bytes that are hashed, and it
keeps no bound on what it holds. Memory here is bounded by `MAX_DIRECTORY_BYTES`.

Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (4.3, 4.4, 4.5.3); Go's archive/zip/reader.go
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, NamedTuple, cast

from zlib_ng import zlib_ng

MAX_DIRECTORY_BYTES: Final = 64 * 1024 * 1024
CHUNK_BYTES: Final = 256 * 1024
SMALL_BYTES: Final = 256 * 1024

_END: Final = struct.Struct("<4s4H2LH")
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64: Final = struct.Struct("<4sLQL")
_HEADER: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_STORED, _DEFLATED = 0, 8
_ENCRYPTED: Final = 0x1
_MAX_32: Final = 0xFFFFFFFF
_MAX_COMMENT_BYTES: Final = 0xFFFF
_DAMAGED: Final = cast(type[Exception], zlib_ng.error)  # which its type hints call an instance


class BadZip(ValueError):
    """The file is no zip, or not one that the go command can unpack."""


class ZipEntry(NamedTuple):
    """One file or directory; sizes in bytes, as declared.

    Attributes:
        name: the raw bytes of the name.
        header_offset: where its local header starts in the file.
    """

    name: bytes
    method: int
    crc32: int
    compressed_bytes: int
    size_bytes: int
    header_offset: int

    @property
    def is_small(self) -> bool:
        """Whether it may be held in memory, packed and unpacked."""
        return self.compressed_bytes <= SMALL_BYTES and self.size_bytes <= SMALL_BYTES


@dataclass(frozen=True, slots=True)
class _Directory:
    offset: int
    size_bytes: int
    count: int
    base_offset: int


def entries(file: BinaryIO, file_bytes: int) -> Iterator[ZipEntry]:
    """The entries in the order of the central directory.

    Raises:
        BadZip: there is no complete central directory, or it is larger than `MAX_DIRECTORY_BYTES`.
    """
    directory = _find_directory(file, file_bytes)
    file.seek(directory.base_offset + directory.offset)
    remaining = directory.size_bytes
    for _ in range(directory.count):
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size or not header.startswith(b"PK\x01\x02"):
            raise BadZip("the central directory holds fewer entries than it says")
        entry, rest_bytes = _entry(header, file, directory.base_offset)
        remaining -= _HEADER.size + rest_bytes
        if remaining < 0:
            raise BadZip("the central directory is larger than it says")
        yield entry
    if remaining:
        raise BadZip("the central directory holds more entries than it says")


def content(file: BinaryIO, entry: ZipEntry) -> Iterator[bytes]:
    """The content of one entry in chunks, never more than its declared size.

    Raises:
        BadZip: unsupported method or encryption, damaged data, a size or checksum other than declared.
    """
    crc, size = 0, 0
    for chunk in _inflated(_raw(file, entry), entry):
        size += len(chunk)
        if size > entry.size_bytes:
            break
        crc = zlib_ng.crc32(chunk, crc)
        yield chunk
    _check_sums(entry, size, crc)


def whole_content(file: BinaryIO, entry: ZipEntry) -> bytes:
    """The content of one entry of at most `SMALL_BYTES`, at once; raises as `content`, which is slower for such."""
    _seek_data(file, entry)
    raw = file.read(entry.compressed_bytes)
    if len(raw) < entry.compressed_bytes:
        raise BadZip("an entry is cut off")
    if entry.method == _STORED:
        data = raw
    elif entry.method == _DEFLATED:
        data = _deflated_at_once(raw, entry.size_bytes)
    else:
        raise BadZip(f"unsupported compression method {entry.method}")
    _check_sums(entry, len(data), zlib_ng.crc32(data))
    return data


def _check_sums(entry: ZipEntry, size_bytes: int, crc32: int) -> None:
    if size_bytes != entry.size_bytes:
        raise BadZip(f"the size is not the declared {entry.size_bytes} bytes")
    if crc32 != entry.crc32:
        raise BadZip("the content does not match its CRC-32")


def _deflated_at_once(raw: bytes, size_bytes: int) -> bytes:
    decoder = zlib_ng.decompressobj(-zlib_ng.MAX_WBITS)
    try:
        data = decoder.decompress(raw, size_bytes + 1)  # one byte more than declared tells that it is too much
    except _DAMAGED as error:
        raise BadZip("the compressed data is damaged") from error
    if not decoder.eof and len(data) <= size_bytes:
        raise BadZip("the compressed data is cut off")
    return data


def _find_directory(file: BinaryIO, file_bytes: int) -> _Directory:
    tail_bytes = min(file_bytes, _END.size + _MAX_COMMENT_BYTES)
    file.seek(file_bytes - tail_bytes)
    tail = file.read(tail_bytes)
    at = tail.rfind(b"PK\x05\x06")
    while at >= 0 and not _is_end_record(tail, at):
        at = tail.rfind(b"PK\x05\x06", 0, at)
    if at < 0:
        raise BadZip("not a valid zip file")
    end_offset = file_bytes - tail_bytes + at
    *_, count, size_bytes, offset, _comment = _END.unpack_from(tail, at)
    if count == 0xFFFF or size_bytes == _MAX_32 or offset == _MAX_32:
        count, size_bytes, offset, end_offset = _zip64_end(file, end_offset) or (count, size_bytes, offset, end_offset)
    base_offset = end_offset - size_bytes - offset
    if size_bytes > MAX_DIRECTORY_BYTES:
        raise BadZip(f"the central directory is larger than {MAX_DIRECTORY_BYTES} bytes")
    if base_offset < 0 or count * _HEADER.size > size_bytes:
        raise BadZip("the central directory lies outside the file")
    return _Directory(offset, size_bytes, count, base_offset)


def _is_end_record(tail: bytes, at: int) -> bool:
    if at + _END.size > len(tail):
        return False
    comment_bytes = _END.unpack_from(tail, at)[-1]
    return at + _END.size + int(comment_bytes) <= len(tail)


def _zip64_end(file: BinaryIO, end_offset: int) -> tuple[int, int, int, int] | None:
    if end_offset < _LOCATOR_64.size:
        return None
    file.seek(end_offset - _LOCATOR_64.size)
    signature, _disk, record_offset, disks = _LOCATOR_64.unpack(file.read(_LOCATOR_64.size))
    if signature != b"PK\x06\x07" or disks != 1:
        return None
    if record_offset + _END_64.size > end_offset:
        raise BadZip("the zip64 end of the central directory lies outside the file")
    file.seek(record_offset)
    signature, *_, count, size_bytes, offset = _END_64.unpack(file.read(_END_64.size))
    if signature != b"PK\x06\x06":
        raise BadZip("the zip64 end of the central directory is damaged")
    return count, size_bytes, offset, record_offset


def _entry(header: bytes, file: BinaryIO, base_offset: int) -> tuple[ZipEntry, int]:
    (_, _, _, flags, method, _, _, crc32, packed, size, name_bytes, extra_bytes, comment_bytes, _, _, _, offset) = (
        _HEADER.unpack(header)
    )
    rest_bytes = name_bytes + extra_bytes + comment_bytes
    rest = file.read(rest_bytes)
    if len(rest) < rest_bytes:
        raise BadZip("the central directory is cut off")
    if _MAX_32 in (packed, size, offset):
        size, packed, offset = _zip64_numbers(rest[name_bytes : name_bytes + extra_bytes], [size, packed, offset])
    if flags & _ENCRYPTED:
        raise BadZip("an entry is encrypted")
    return ZipEntry(rest[:name_bytes], method, crc32, packed, size, base_offset + offset), rest_bytes


def _zip64_numbers(extra: bytes, numbers: list[int]) -> list[int]:
    at = 0
    while at + 4 <= len(extra):
        tag, field_bytes = struct.unpack_from("<2H", extra, at)
        field = extra[at + 4 : at + 4 + field_bytes]
        at += 4 + field_bytes
        if tag != 1:
            continue
        for index, number in enumerate(numbers):
            if number == _MAX_32:
                if len(field) < 8:
                    raise BadZip("a zip64 extra field is cut off")
                numbers[index], field = int.from_bytes(field[:8], "little"), field[8:]
        return numbers
    raise BadZip("a zip64 extra field is missing")


def _seek_data(file: BinaryIO, entry: ZipEntry) -> None:
    file.seek(entry.header_offset)
    header = file.read(_LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
        raise BadZip("an entry has no local header")
    *_, name_bytes, extra_bytes = _LOCAL.unpack(header)
    file.seek(name_bytes + extra_bytes, 1)


def _raw(file: BinaryIO, entry: ZipEntry) -> Iterator[bytes]:
    _seek_data(file, entry)
    remaining = entry.compressed_bytes
    while remaining:
        chunk = file.read(min(CHUNK_BYTES, remaining))
        if not chunk:
            raise BadZip("an entry is cut off")
        remaining -= len(chunk)
        yield chunk


def _inflated(raw: Iterator[bytes], entry: ZipEntry) -> Iterator[bytes]:
    if entry.method == _STORED:
        yield from raw
    elif entry.method == _DEFLATED:
        yield from _deflate_stream(raw)
    else:
        raise BadZip(f"unsupported compression method {entry.method}")


def _deflate_stream(raw: Iterator[bytes]) -> Iterator[bytes]:
    decoder = zlib_ng.decompressobj(-zlib_ng.MAX_WBITS)
    try:
        for packed in raw:
            pending = packed
            while pending and not decoder.eof:
                yield decoder.decompress(pending, CHUNK_BYTES)
                pending = decoder.unconsumed_tail
        yield decoder.flush()
    except _DAMAGED as error:
        raise BadZip("the compressed data is damaged") from error
    if not decoder.eof:
        raise BadZip("the compressed data is cut off")
