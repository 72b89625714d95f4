"""Proves that a checksum database vouches for the sums of a module version.

Each answer is checked against the newest signed tree that was ever seen, which is kept: a record must be in that tree,
and a newer tree must have it as its beginning. A database that shows two faces fails that proof.

Source: https://go.dev/design/25530-sumdb; golang.org/x/mod/sumdb/client.go
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from athens_proxy.checksums.lookups import LookupAnswer, sums_in
from athens_proxy.checksums.note import InvalidNote, TreeHead, VerifierKey, open_note, tree_head
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
from athens_proxy.errors import BadUpstreamAnswer, ChecksumMismatch, ModuleNotFound
from athens_proxy.modules import ModuleVersion

_KEPT_TILES: Final = 1024


class TreeReader(Protocol):
    """Reads one checksum database, and keeps its newest tree."""

    async def lookup(self, wanted: ModuleVersion, *, fresh: bool) -> bytes:
        """The answer of `/lookup/`; `fresh` asks the database itself.

        Raises:
            ModuleNotFound: the database cannot find the version.
            UpstreamError, UpstreamThrottled, UpstreamTimeout: it cannot be asked.
        """

    async def tile(self, tile: TileAt, *, fresh: bool) -> bytes:
        """The bytes of a tile; raises as `lookup`."""

    async def newest(self) -> bytes | None:
        """The note of the newest proven tree, None before the first."""

    async def keep_newest(self, note: bytes) -> None:
        """Remember the note of the newest proven tree."""


@dataclass(frozen=True, slots=True)
class Sums:
    """The `h1:` sums of one module version."""

    zip_h1: str
    mod_h1: str


@dataclass(frozen=True, slots=True)
class Vouched:
    """The sums that a database has for one module version, proven to be in its tree.

    Attributes:
        wanted: the version.
        database: its name.
        zip_h1: the sum of the zip.
        mod_h1: the sum of the go.mod; "" for a toolchain, which is recorded without.
    """

    wanted: ModuleVersion
    database: str
    zip_h1: str
    mod_h1: str

    def check(self, sums: Sums) -> None:
        """Succeed when both sums are the database's.

        Raises:
            ChecksumMismatch: one is not; the text has both.
        """
        self._compare("", sums.zip_h1, self.zip_h1)
        self.check_mod(sums.mod_h1)

    def check_mod(self, mod_h1: str) -> None:
        """The same for the go.mod alone."""
        if self.mod_h1:
            self._compare("/go.mod", mod_h1, self.mod_h1)

    def _compare(self, suffix: str, ours: str, theirs: str) -> None:
        if ours != theirs:
            raise ChecksumMismatch(
                f"{self.wanted}{suffix}: checksum mismatch: upstream sent {ours}, {self.database} has {theirs}"
            )


@dataclass(frozen=True, slots=True)
class _Tree:
    """A signed tree whose edge tiles make its root."""

    head: TreeHead
    edges: Mapping[tuple[int, int], list[bytes]]


class Verifier:
    """Checks sums against one checksum database.

    Args:
        key: the database's public key.
        reader: reads the database.
    """

    def __init__(self, key: VerifierKey, reader: TreeReader) -> None:
        self._key = key
        self._reader = reader
        self._growing = asyncio.Lock()
        self._newest: _Tree | None = None
        self._proven_tiles: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()

    async def vouched(self, wanted: ModuleVersion) -> Vouched:
        """What the database vouches for; needs nothing of the module, so it can be asked while that is on its way.

        Raises:
            ModuleNotFound: it does not know the version.
            BadUpstreamAnswer: what it answered cannot be proven.
            UpstreamError, UpstreamThrottled, UpstreamTimeout: it cannot be asked.
        """
        try:
            record = await self._proven_record(wanted, fresh=False)
        except _Unproven:
            # What is kept may have been spoilt on its way once; only a second refusal is the database's.
            try:
                record = await self._proven_record(wanted, fresh=True)
            except _Unproven as error:
                raise BadUpstreamAnswer(f"{wanted}: {self._key.name} cannot be trusted: {error}") from error
        return _vouched(wanted, record, self._key.name)

    async def _proven_record(self, wanted: ModuleVersion, *, fresh: bool) -> bytes:
        answer = self._parsed(await self._reader.lookup(wanted, fresh=fresh))
        tree = await self._tree_with(answer, fresh=fresh)
        if answer.record_id >= tree.head.size:
            raise _Unproven("the record lies outside the signed tree")
        tile = tile_in_tree(0, answer.record_id // TILE_WIDTH, tree_size=tree.head.size)
        hashes = await self._proven_tile(tile, tree, fresh=fresh)
        if hashes[answer.record_id % TILE_WIDTH] != leaf_hash(answer.record):
            raise _Unproven("the record is not in the signed tree")
        return answer.record

    async def _tree_with(self, answer: LookupAnswer, *, fresh: bool) -> _Tree:
        """The newest proven tree, which the answer's own becomes if it is larger and begins with the former."""
        async with self._growing:
            newest = self._newest or await self._kept_tree(fresh=fresh)
            if newest is None or answer.head.size > newest.head.size:
                newest = await self._grown(newest, answer, fresh=fresh)
            elif answer.head.size == newest.head.size and answer.head.root != newest.head.root:
                raise _Unproven(f"it signed two different trees of {newest.head.size} records")
            self._newest = newest
            return newest

    async def _kept_tree(self, *, fresh: bool) -> _Tree | None:
        note = await self._reader.newest()
        return await self._proven_tree(self._head(note), fresh=fresh) if note else None

    async def _grown(self, former: _Tree | None, answer: LookupAnswer, *, fresh: bool) -> _Tree:
        tree = await self._proven_tree(answer.head, fresh=fresh)
        if former is not None:
            beginning = [
                (
                    await self._proven_tile(
                        tile_in_tree(edge.level, edge.number, tree_size=tree.head.size), tree, fresh=fresh
                    )
                )[: edge.width]
                for edge in edge_tiles(former.head.size)
            ]
            if root_of_edge(beginning) != former.head.root:
                raise _Unproven(
                    f"its tree of {former.head.size} records is not how its tree of {tree.head.size} begins"
                )
        await self._reader.keep_newest(answer.note)
        return tree

    async def _proven_tree(self, head: TreeHead, *, fresh: bool) -> _Tree:
        edges = {(tile.level, tile.number): await self._tile(tile, fresh=fresh) for tile in edge_tiles(head.size)}
        if root_of_edge(list(edges.values())) != head.root:
            raise _Unproven(f"its tiles do not make the tree of {head.size} records that it signed")
        return _Tree(head, edges)

    async def _proven_tile(self, tile: TileAt, tree: _Tree, *, fresh: bool) -> list[bytes]:
        """A tile of a proven tree: a partial one is its edge; a full one must have its hash in its parent."""
        place = (tile.level, tile.number)
        known = tree.edges.get(place) or self._proven_tiles.get(place)
        if known is not None:
            return known
        hashes = await self._tile(tile, fresh=fresh)
        level, number, index = tile.parent_place
        parent = await self._proven_tile(tile_in_tree(level, number, tree_size=tree.head.size), tree, fresh=fresh)
        if complete_root(hashes) != parent[index]:
            raise _Unproven(f"{tile.path} is not part of the signed tree")
        self._proven_tiles[place] = hashes
        if len(self._proven_tiles) > _KEPT_TILES:
            self._proven_tiles.popitem(last=False)
        return hashes

    async def _tile(self, tile: TileAt, *, fresh: bool) -> list[bytes]:
        try:
            data = await self._reader.tile(tile, fresh=fresh)
        except ModuleNotFound:
            if tile.is_full:
                raise
            full = TileAt(tile.level, tile.number, TILE_WIDTH)  # the tree has grown since; its beginning is the same
            data = (await self._reader.tile(full, fresh=fresh))[: tile.width * HASH_BYTES]
        if len(data) != tile.width * HASH_BYTES:
            raise _Unproven(f"{tile.path} has the wrong size")
        return hashes_of(data)

    def _parsed(self, data: bytes) -> LookupAnswer:
        try:
            return LookupAnswer.parse(data, self._key)
        except InvalidNote as error:
            raise _Unproven(str(error)) from error

    def _head(self, note: bytes) -> TreeHead:
        try:
            return tree_head(open_note(note, self._key))
        except InvalidNote as error:
            raise _Unproven(str(error)) from error


class _Unproven(Exception):
    """Something the database said does not follow from what it signed."""


def _vouched(wanted: ModuleVersion, record: bytes, database: str) -> Vouched:
    zip_h1, mod_h1 = sums_in(record, wanted)
    for suffix, found in (("", zip_h1), ("/go.mod", mod_h1 or wanted.path.is_toolchain)):
        if not found:
            raise BadUpstreamAnswer(f"{wanted}: {database} answered without a sum for {wanted}{suffix}")
    return Vouched(wanted, database, zip_h1, mod_h1)
