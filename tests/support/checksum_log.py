"""A checksum database in memory, by the definition of RFC 6962 and none of the code under test."""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from athens_proxy.checksums.tlog import TileAt
from athens_proxy.errors import ModuleNotFound
from athens_proxy.modules import ModuleVersion

NAME = "sum.example.com"


class ChecksumLog:
    """Records in order; a `TreeReader` too.

    Attributes:
        records: the text of each.
        asked: paths of tiles that were read, and lookups as `lookup/…`.
        spoilt: answers by path that are given instead; with `once`, only until something fresh is asked for.
    """

    def __init__(self, records: list[bytes], *, seed: bytes = bytes(32)) -> None:
        self.records = records
        self.asked: list[str] = []
        self.spoilt: dict[str, bytes] = {}
        self.spoilt_once: dict[str, bytes] = {}
        self.kept: bytes | None = None
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        public = b"\x01" + self._private.public_key().public_bytes_raw()
        self._key_hash = hashlib.sha256(NAME.encode() + b"\n" + public).digest()[:4]
        self.key = f"{NAME}+{self._key_hash.hex()}+{base64.b64encode(public).decode()}"

    def note(self, size: int, *, root: bytes | None = None) -> bytes:
        """The signed head of the tree of the first records."""
        digest = base64.b64encode(root or mth(self.records[:size])).decode()
        text = f"go.sum database tree\n{size}\n{digest}\n".encode()
        signature = base64.b64encode(self._key_hash + self._private.sign(text)).decode()
        return text + f"\n\u2014 {NAME} {signature}\n".encode()

    def answer(self, record_id: int, *, size: int = 0) -> bytes:
        """The lookup answer for a record, with the head of a tree of that size (0: of all)."""
        return f"{record_id}\n".encode() + self.records[record_id] + b"\n" + self.note(size or len(self.records))

    def tile_bytes(self, tile: TileAt) -> bytes:
        """The true bytes of a tile of the whole log."""
        span = 1 << (8 * tile.level)
        first = tile.number * 256
        subtrees = (self.records[at * span : (at + 1) * span] for at in range(first, first + tile.width))
        hashes = [mth(subtree) for subtree in subtrees if len(subtree) == span]
        if len(hashes) < tile.width:
            raise ModuleNotFound(f"not found: {tile.path}")
        return b"".join(hashes)

    async def lookup(self, wanted: ModuleVersion, *, fresh: bool) -> bytes:
        path = f"lookup/{wanted}"
        self.asked.append(path)
        if answer := self._spoilt(path, fresh=fresh):
            return answer
        start = f"{wanted.path} {wanted.version} ".encode()
        for record_id, record in enumerate(self.records):
            if record.startswith(start):
                return self.answer(record_id)
        raise ModuleNotFound(f"not found: {wanted}")

    async def tile(self, tile: TileAt, *, fresh: bool) -> bytes:
        self.asked.append(tile.path)
        return self._spoilt(tile.path, fresh=fresh) or self.tile_bytes(tile)

    async def newest(self) -> bytes | None:
        return self.kept

    async def keep_newest(self, note: bytes) -> None:
        self.kept = note

    def _spoilt(self, path: str, *, fresh: bool) -> bytes | None:
        if fresh:
            self.spoilt_once.pop(path, None)
        return self.spoilt_once.get(path) or self.spoilt.get(path)


def record(path: str, version: str, zip_h1: str = "h1:zip", mod_h1: str = "h1:mod") -> bytes:
    """The text of a record."""
    return f"{path} {version} {zip_h1}\n{path} {version}/go.mod {mod_h1}\n".encode()


def mth(records: list[bytes]) -> bytes:
    """The Merkle tree hash of RFC 6962, section 2.1."""
    if not records:
        return hashlib.sha256(b"").digest()
    if len(records) == 1:
        return hashlib.sha256(b"\x00" + records[0]).digest()
    split = 1 << (len(records) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + mth(records[:split]) + mth(records[split:])).digest()
