"""The arithmetic of transparency logs: leaves, nodes, tiles, roots; pure.

Tiles are 8 levels high: tile `number` of tile level `level` holds the hashes of tree level 8·level from 256·number on.

Source: RFC 6962 section 2.1; https://research.swtch.com/tlog; golang.org/x/mod/sumdb/tlog
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

HASH_BYTES: Final = 32
TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT


@dataclass(frozen=True, slots=True)
class TileAt:
    """Where a tile is, and how many hashes it has in a given tree (256 if it is full)."""

    level: int
    number: int
    width: int

    @property
    def is_full(self) -> bool:
        """Whether the tree's growth can add nothing to it."""
        return self.width == TILE_WIDTH

    @property
    def path(self) -> str:
        """Its path below the database's address: `tile/8/0/x001/234`."""
        groups = [f"{self.number % 1000:03d}"]
        rest = self.number // 1000
        while rest:
            groups.append(f"x{rest % 1000:03d}")
            rest //= 1000
        partial = "" if self.is_full else f".p/{self.width}"
        return f"tile/{TILE_HEIGHT}/{self.level}/{'/'.join(reversed(groups))}{partial}"

    @property
    def parent_place(self) -> tuple[int, int, int]:
        """Level and number of the tile that holds this full tile's own hash, and the hash's index in it."""
        return self.level + 1, self.number // TILE_WIDTH, self.number % TILE_WIDTH


def leaf_hash(record: bytes) -> bytes:
    """The hash of a record."""
    return hashlib.sha256(b"\x00" + record).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def complete_root(hashes: Sequence[bytes]) -> bytes:
    """The root of a complete subtree over a power of two of hashes."""
    while len(hashes) > 1:
        hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]


def tile_in_tree(level: int, number: int, *, tree_size: int) -> TileAt:
    """The tile as wide as a tree of that many records has it."""
    return TileAt(level, number, min(TILE_WIDTH, (tree_size >> (TILE_HEIGHT * level)) - number * TILE_WIDTH))


def edge_tiles(tree_size: int) -> Iterator[TileAt]:
    """The partial tiles on the right edge, lowest level first; together they determine the root."""
    level = 0
    while tree_size:
        tree_size, width = divmod(tree_size, TILE_WIDTH)
        if width:
            yield TileAt(level, tree_size, width)
        level += 1


def root_of_edge(tiles: Sequence[Sequence[bytes]]) -> bytes:
    """The root of the tree whose edge tiles, lowest level first, hold these hashes."""
    root: bytes | None = None
    for hashes in tiles:
        end = len(hashes)
        size = 1
        while end:
            if end & size:
                subtree = complete_root(hashes[end - size : end])
                root = subtree if root is None else node_hash(subtree, root)
                end -= size
            size *= 2
    return root if root is not None else hashlib.sha256(b"").digest()


def hashes_of(tile: bytes) -> list[bytes]:
    """The hashes in the bytes of a tile."""
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]
