"""Reads the secrets of entries, each time one is needed, so that a new value counts at once."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from athens_proxy.credentials.entries import Entry

MAX_BYTES: Final = 64 * 1024
_LATEST_S: Final = 253402300799  # the end of the year 9999


class Unusable(Exception):
    """A credential cannot be used as it is; the text names it, says why and what to do, and has nothing secret."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f'credential "{name}": {why}')


def read_file(entry: Entry, name: str) -> bytes:
    """The content of one of an entry's files.

    Raises:
        Unusable: it is missing, empty or too large.
    """
    path = entry.files[name]
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unusable(entry.name, f"its file {name} cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise Unusable(entry.name, f"its file {name} has more than {MAX_BYTES} bytes")
    if not data.strip():
        raise Unusable(entry.name, f"its file {name} is empty; put the secret into it")
    return data


def read_line(entry: Entry, name: str) -> str:
    """A secret that is one line of printable text, without the line ends after it.

    Raises:
        Unusable: see `read_file`; or it is no such text.
    """
    try:
        text = read_file(entry, name).decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise Unusable(entry.name, f"its file {name} is no UTF-8 text") from error
    if not text.isprintable():
        raise Unusable(entry.name, f"its file {name} has several lines or control characters; put only the secret in")
    return text


def fingerprint(entry: Entry) -> str:
    """What changes when a file of the entry does; hashed in one way, and kept in memory only."""
    digest = hashlib.sha256()
    for name, path in entry.files.items():
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES)
        except OSError:
            data = b""
        digest.update(f"{name} {len(data)} ".encode() + data)
    return digest.hexdigest()


def private_key(entry: Entry) -> bytes:
    """The key of an ssh entry in the form that ssh reads: Unix line ends, one at the end.

    Raises:
        Unusable: see `read_file`; or it has a passphrase, or is no private key.
    """
    data = read_file(entry, "ssh-privatekey").replace(b"\r\n", b"\n").strip() + b"\n"
    if b"PRIVATE KEY-----" not in data:
        raise Unusable(entry.name, "its file ssh-privatekey is no private key")
    if _has_passphrase(data):
        raise Unusable(entry.name, "its private key has a passphrase; store one without (ssh-keygen -p)")
    return data


def expiry_of(token: str) -> datetime | None:
    """The `exp` of a JSON Web Token; None for any other text."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
    expires = claims.get("exp") if isinstance(claims, dict) else None
    if isinstance(expires, bool) or not isinstance(expires, int | float) or not 0 <= expires <= _LATEST_S:
        return None
    return datetime.fromtimestamp(expires, UTC)


def _has_passphrase(pem: bytes) -> bool:
    """Whether a key is encrypted. Source: PROTOCOL.key of OpenSSH; RFC 7468 section 11 for PKCS #8."""
    if b"ENCRYPTED" in pem:
        return True
    lines = [line for line in pem.splitlines() if b"-----" not in line and b":" not in line]
    try:
        blob = base64.b64decode(b"".join(lines))
    except (ValueError, binascii.Error):
        return False
    magic = b"openssh-key-v1\0"
    if not blob.startswith(magic):
        return False
    length = int.from_bytes(blob[len(magic) : len(magic) + 4], "big")
    return blob[len(magic) + 4 : len(magic) + 4 + length] != b"none"


def path_of(entry: Entry) -> Path:
    """The one file of a kind that is a whole file."""
    return next(iter(entry.files.values()))
