"""The end of a zip, by which a stored one that was cut off is told without reading it; pure.

Source: APPNOTE.TXT 4.3.16 (end of central directory record).
"""

from __future__ import annotations

import struct
from typing import Final

_END_RECORD: Final = struct.Struct("<4s8xIIH")  # signature, directory size and offset, length of the comment
_SIGNATURE: Final = b"PK\x05\x06"
_IN_ZIP64: Final = 0xFFFFFFFF
SHORT_END_BYTES: Final = _END_RECORD.size
LONG_END_BYTES: Final = _END_RECORD.size + 0xFFFF  # with the longest comment


def ends_as_zip(tail: bytes, size_bytes: int) -> bool:
    """Whether a file ends as a zip does, in a record that says where the directory before it is.

    What a cut off file cannot have; it says nothing about flipped bits.

    Args:
        tail: the last bytes of the file, `SHORT_END_BYTES` for a zip without comment, `LONG_END_BYTES` for any.
        size_bytes: of the whole file.
    """
    found = tail.rfind(_SIGNATURE)
    record = tail[found : found + _END_RECORD.size]
    if found < 0 or len(record) < _END_RECORD.size:
        return False
    _, directory_bytes, directory_at, _ = _END_RECORD.unpack(record)
    at: int = size_bytes - len(tail) + found
    return _IN_ZIP64 in (directory_bytes, directory_at) or directory_at + directory_bytes <= at
