"""`h1:` sums, as they stand in go.sum.

Source: golang.org/x/mod/sumdb/dirhash (Hash1); https://go.dev/ref/mod#go-sum-files
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable


def hash1(digests_by_name: Iterable[tuple[bytes, bytes]]) -> str:
    """The `h1:` sum over files.

    Args:
        digests_by_name: each file's name (raw bytes, without newline) and the SHA-256 digest of its content.
    """
    summary = hashlib.sha256()
    for name, digest in sorted(digests_by_name):
        summary.update(digest.hex().encode() + b"  " + name + b"\n")
    return "h1:" + base64.b64encode(summary.digest()).decode()


def mod_hash1(mod: bytes) -> str:
    """The `h1:` sum of a go.mod file, the `/go.mod` line of go.sum."""
    return hash1([(b"go.mod", hashlib.sha256(mod).digest())])
