"""A part of a checksum database's tree that stands by itself: tiles that prove some records of one signed tree; pure.

Source: RFC 6962 sections 2.1.1 and 2.1.2; golang.org/x/mod/sumdb/tlog (TileHashReader, CheckRecord)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from athens_proxy.checksums.note import TreeHead
from athens_proxy.checksums.tlog import (
    HASH_BYTES,
    TILE_WIDTH,
    TileAt,
    complete_root,
    edge_tiles,
    hashes_of,
    leaf_hash,
    root_of_edge,
    tile_in_tree,
)

Place = tuple[int, int]


class Unproven(ValueError):
    """What was given does not follow from the signed tree; the message says what."""


class MissingTile(Unproven):
    """A tile that a proof needs is not in the slice."""


def needed_tiles(tree_size: int, *, records: Iterable[int], earlier: Iterable[int] = ()) -> list[TileAt]:
    """Everything a client reads to prove these records in a tree, by level and number.

    Args:
        tree_size: records in the tree.
        records: their places, each below `tree_size`.
        earlier: sizes of trees that clients know already, each at most `tree_size`; they prove that the tree continues
            those. It needs nothing more for records that were proven in one of them: their tiles that were not full
            then are the very ones that this proof has.
    """
    found = {(tile.level, tile.number): tile for tile in edge_tiles(tree_size)}
    places = [(0, record_id // TILE_WIDTH) for record_id in records]
    places += [(edge.level, edge.number) for size in earlier for edge in edge_tiles(size)]
    for place in places:
        while place not in found:
            found[place] = tile_in_tree(*place, tree_size=tree_size)
            place = found[place].parent_place[:2]
    return [found[place] for place in sorted(found)]


class TreeSlice:
    """Proves records of one tree.

    Args:
        head: of the tree, from a note whose signature was checked.
        tiles: bytes by path; what no proof asks for is not looked at.

    Raises:
        Unproven: the tiles on the tree's edge are missing, or do not make the tree.
    """

    def __init__(self, head: TreeHead, tiles: Mapping[str, bytes]) -> None:
        self.head = head
        self._tiles = tiles
        self._proven: dict[Place, bytes] = {}
        edges = {(edge.level, edge.number): self._bytes(edge) for edge in edge_tiles(head.size)}
        if root_of_edge([hashes_of(edge) for edge in edges.values()]) != head.root:
            raise Unproven(f"its tiles do not make the tree of {head.size} records that it signed")
        self._proven.update(edges)

    def check_record(self, record_id: int, record: bytes) -> None:
        """Succeed when the tree has this record at that place.

        Raises:
            Unproven: it has not.
            MissingTile: the slice cannot tell.
        """
        if record_id >= self.head.size:
            raise Unproven("the record lies outside the signed tree")
        tile = self._proven_at((0, record_id // TILE_WIDTH))
        if _hash_at(tile, record_id % TILE_WIDTH) != leaf_hash(record):
            raise Unproven("the record is not in the signed tree")

    def check_beginning(self, earlier: TreeHead) -> None:
        """Succeed when the tree continues an earlier one; raises as `check_record`."""
        if earlier.size > self.head.size:
            raise Unproven(f"a tree of {self.head.size} records cannot continue one of {earlier.size}")
        beginning = [
            hashes_of(self._proven_at((edge.level, edge.number)))[: edge.width] for edge in edge_tiles(earlier.size)
        ]
        if root_of_edge(beginning) != earlier.root:
            raise Unproven(
                f"its tree of {earlier.size} records is not how its tree of {self.head.size} begins:"
                " it shows different trees to different people"
            )

    def check_earlier(self, size: int) -> None:
        """Succeed when the slice can show how the tree of that size begins it; raises as `check_record`."""
        for edge in edge_tiles(size):
            self._proven_at((edge.level, edge.number))

    def proven_tiles(self) -> dict[str, bytes]:
        """The tiles that proofs have used so far, by path: what a client may be given."""
        return {tile_in_tree(*place, tree_size=self.head.size).path: tile for place, tile in self._proven.items()}

    def _proven_at(self, place: Place) -> bytes:
        known = self._proven.get(place)
        if known is not None:
            return known
        tile = tile_in_tree(*place, tree_size=self.head.size)
        data = self._bytes(tile)
        level, number, index = tile.parent_place
        if complete_root(hashes_of(data)) != _hash_at(self._proven_at((level, number)), index):
            raise Unproven(f"{tile.path} is not part of the signed tree")
        self._proven[place] = data
        return data

    def _bytes(self, tile: TileAt) -> bytes:
        full = TileAt(tile.level, tile.number, TILE_WIDTH)  # its beginning is the same
        data = self._tiles.get(tile.path) or self._tiles.get(full.path)
        if data is None:
            raise MissingTile(f"{tile.path} is missing")
        if len(data) < tile.width * HASH_BYTES:
            raise Unproven(f"{tile.path} has the wrong size")
        return data[: tile.width * HASH_BYTES]


def _hash_at(tile: bytes, index: int) -> bytes:
    return tile[index * HASH_BYTES : (index + 1) * HASH_BYTES]
