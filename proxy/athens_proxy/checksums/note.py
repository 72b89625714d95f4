"""Signed notes, and the signed tree heads in them.

Source: golang.org/x/mod/sumdb/note; https://go.dev/design/25530-sumdb ("Checksum Database")
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SUM_GOLANG_ORG: Final = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
MAX_NOTE_BYTES: Final = 1_000_000
MAX_SIGNATURES: Final = 100

_ED25519: Final = b"\x01"
_TREE_TITLE: Final = "go.sum database tree"


class InvalidNote(ValueError):
    """The bytes are no note that the database signed."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public key of a checksum database, made by `parse`."""

    name: str
    key_hash: bytes
    public: Ed25519PublicKey

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """The key in Go's form `name+hash+base64`.

        Raises:
            InvalidNote: the text is no such key, or its hash does not fit.
        """
        name, _, rest = text.partition("+")
        hash_text, _, encoded = rest.partition("+")
        try:
            key_hash, key = bytes.fromhex(hash_text), base64.b64decode(encoded, validate=True)
        except (ValueError, binascii.Error) as error:
            raise InvalidNote("a verifier key is name+hash+base64") from error
        if not name or len(key) != 33 or not key.startswith(_ED25519):
            raise InvalidNote("a verifier key is name+hash+base64 of an Ed25519 key")
        if hashlib.sha256(name.encode() + b"\n" + key).digest()[:4] != key_hash:
            raise InvalidNote(f"the hash in the verifier key of {name} does not fit")
        return cls(name, key_hash, Ed25519PublicKey.from_public_bytes(key[1:]))


@dataclass(frozen=True, slots=True)
class TreeHead:
    """The size and root hash of a database's tree at one moment."""

    size: int
    root: bytes


def open_note(note: bytes, key: VerifierKey) -> str:
    """The text of a note that the key's owner signed.

    Raises:
        InvalidNote: it is malformed, or no signature by that key is right.
    """
    if len(note) > MAX_NOTE_BYTES or any(byte < 0x20 and byte != 0x0A for byte in note):
        raise InvalidNote("a note is text without control characters")
    text_bytes, separator, signatures = note.rpartition(b"\n\n")
    if not separator or not signatures.endswith(b"\n"):
        raise InvalidNote("the note is not signed")
    signed = text_bytes + b"\n"
    lines = signatures.decode("utf-8", "replace").splitlines()
    if len(lines) > MAX_SIGNATURES or not any(_is_signed_by(key, line, signed) for line in lines):
        raise InvalidNote(f"the note carries no signature of {key.name}")
    try:
        return signed.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidNote("a note is UTF-8") from error


def tree_head(text: str) -> TreeHead:
    """The tree head in the text of a note.

    Raises:
        InvalidNote: it is none.
    """
    title, size, root, *_ = [*text.split("\n"), "", "", ""]
    if title != _TREE_TITLE or not (size.isascii() and size.isdigit()) or len(size) > 19:
        raise InvalidNote("the note is no tree head")
    try:
        digest = base64.b64decode(root, validate=True)
    except binascii.Error as error:
        raise InvalidNote("the note is no tree head") from error
    if len(digest) != 32:
        raise InvalidNote("the note is no tree head")
    return TreeHead(int(size), digest)


def _is_signed_by(key: VerifierKey, line: str, signed: bytes) -> bool:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if dash != "\u2014" or name != key.name:
        return False
    try:
        signature = base64.b64decode(encoded, validate=True)
        if signature[:4] != key.key_hash:
            return False
        key.public.verify(signature[4:], signed)
    except (binascii.Error, InvalidSignature):
        return False
    return True
