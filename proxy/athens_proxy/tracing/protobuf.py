"""The few pieces of the protobuf wire format that spans need; pure.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DOUBLE = struct.Struct("<d").pack
_U32 = struct.Struct("<I").pack


def varint(value: int) -> bytes:
    """A number from 0 to 2^64-1, seven bits a byte."""
    if value < 0x80:
        return bytes((value,))
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def tag(field: int, wire_type: int) -> bytes:
    """What stands before a field."""
    return varint(field << 3 | wire_type)


def message(field: int, content: bytes) -> bytes:
    """A field of bytes: a message, or bytes as they are."""
    return head(field, len(content)) + content


def head(field: int, size: int) -> bytes:
    """What stands before the content of a field of so many bytes."""
    return tag(field, _BYTES) + varint(size)


def text(field: int, content: str) -> bytes:
    """A field of text; what is no Unicode becomes question marks."""
    return message(field, content.encode("utf-8", "replace"))


def number(field: int, value: int) -> bytes:
    """A field of a whole number, also a negative one (int64) or an enum."""
    return tag(field, _VARINT) + varint(value & 0xFFFFFFFFFFFFFFFF)


def fixed32(field: int, value: int) -> bytes:
    """A field of four bytes."""
    return tag(field, _FIXED32) + _U32(value)


def double(field: int, value: float) -> bytes:
    """A field of a floating-point number."""
    return tag(field, _FIXED64) + _DOUBLE(value)
