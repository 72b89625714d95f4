"""What goes along of a checksum database: the records of some versions, and what proves them in one signed tree.

All records come with the same tree, so that a client needs no proof between the trees of two answers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from athens_proxy.checksums.lookups import LookupAnswer, with_newer_head
from athens_proxy.checksums.note import InvalidNote, TreeHead, VerifierKey, open_note, tree_head
from athens_proxy.checksums.tlog import HASH_BYTES, TILE_WIDTH, TileAt
from athens_proxy.checksums.tree_slice import TreeSlice, Unproven, needed_tiles
from athens_proxy.commands.proxy_client import ProxyClient
from athens_proxy.errors import BadUpstreamAnswer, ModuleNotFound
from athens_proxy.modules import ModuleVersion
from athens_proxy.upstream.kept_answers import Records
from athens_proxy.upstream.sumdb_requests import MAX_LOOKUP_BYTES, Lookup

AT_ONCE: Final = 16
REMEMBERED: Final = 100
_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class ChecksumPart:
    """A part of a checksum database that proves itself.

    Attributes:
        database: its name.
        tree_size: records in the signed tree.
        earlier: sizes of trees that it is shown to continue.
        files: lookups, tiles and the tree's head, by path below the database's address.
        sums: the `h1:` sums of zip and go.mod that the records have; "" for a toolchain's go.mod.
    """

    database: str
    tree_size: int
    earlier: tuple[int, ...]
    files: Mapping[str, bytes]
    sums: Mapping[ModuleVersion, tuple[str, str]]


async def checksum_part(
    client: ProxyClient, key: VerifierKey, versions: Sequence[ModuleVersion], *, earlier: Iterable[int]
) -> ChecksumPart:
    """The part that these versions need, read through a proxy and proven.

    Args:
        client: asks a proxy that relays the database.
        key: of the database.
        versions: at least one.
        earlier: sizes of trees that clients at the other side may know.

    Raises:
        BadUpstreamAnswer: something is not proven.
        ProxyError: the database cannot be asked, or does not know a version.
    """
    base = f"sumdb/{key.name}"

    async def looked_up(wanted: ModuleVersion) -> LookupAnswer:
        try:
            data = await client.read(f"{base}/{Lookup(wanted).path}", at_most_bytes=MAX_LOOKUP_BYTES)
        except ModuleNotFound as error:
            raise ModuleNotFound(
                f"{wanted}: not exported, because {key.name} has no record of it here: {error}; if it is private, list"
                " it in NoSumPatterns"
            ) from error
        return _sound(wanted, lambda: LookupAnswer.parse(data, key))

    answers = await _all(versions, looked_up)
    note = max((answer.head.size, answer.note) for answer in answers.values())[1]
    sizes = sorted({size for size in earlier if size > 0})
    if sizes and sizes[-1] > _head(note, key).size:
        note = await client.read(f"{base}/latest", at_most_bytes=MAX_LOOKUP_BYTES)
    head = _sound(key.name, lambda: _head(note, key))
    shown = tuple(size for size in sizes if size < head.size)
    wanted_tiles = needed_tiles(head.size, records=[one.record_id for one in answers.values()], earlier=shown)

    async def tile_bytes(tile: TileAt) -> bytes:
        return await _tile(client, base, tile)

    tiles = {tile.path: data for tile, data in (await _all(wanted_tiles, tile_bytes)).items()}
    slice_ = _sound(key.name, lambda: TreeSlice(head, tiles))
    for wanted, answer in answers.items():
        _sound(wanted, partial(slice_.check_record, answer.record_id, answer.record))
    for size in shown:
        _sound(key.name, partial(slice_.check_earlier, size))
    lookups = {Lookup(wanted).path: with_newer_head(_answer_bytes(answer), note) for wanted, answer in answers.items()}
    sums = {wanted: answer.sums_of(wanted) for wanted, answer in answers.items()}
    return ChecksumPart(key.name, head.size, shown, {"latest": note, **lookups, **slice_.proven_tiles()}, sums)


async def remembered_trees(records: Records, database: str) -> list[int]:
    """Sizes of the trees that went out before: what clients at the other side know."""
    try:
        sizes = json.loads(await records.read_record(_record(database)))
        return [int(size) for size in sizes]
    except (ModuleNotFound, ValueError, TypeError):
        return []


async def remember_tree(records: Records, database: str, size: int) -> None:
    """Add the size of a tree that goes out; raises `StorageError`."""
    known = await remembered_trees(records, database)
    if size not in known:
        await records.write_record(_record(database), json.dumps([*known, size][-REMEMBERED:]).encode())


def _record(database: str) -> str:
    return f"sumdb/{database}/exported"


def _head(note: bytes, key: VerifierKey) -> TreeHead:
    return tree_head(open_note(note, key))


def _answer_bytes(answer: LookupAnswer) -> bytes:
    return f"{answer.record_id}\n".encode() + answer.record + b"\n" + answer.note


def _sound(what: object, check: Callable[[], _T]) -> _T:
    try:
        return check()
    except (InvalidNote, Unproven) as error:
        raise BadUpstreamAnswer(f"{what}: the checksum database cannot be trusted: {error}") from error


async def _tile(client: ProxyClient, base: str, tile: TileAt) -> bytes:
    try:
        return await client.read(f"{base}/{tile.path}", at_most_bytes=tile.width * HASH_BYTES)
    except ModuleNotFound:
        if tile.is_full:
            raise
        full = TileAt(tile.level, tile.number, TILE_WIDTH)  # the tree has grown since; its beginning is the same
        data = await client.read(f"{base}/{full.path}", at_most_bytes=TILE_WIDTH * HASH_BYTES)
        return data[: tile.width * HASH_BYTES]


async def _all(keys: Sequence[_R], read: Callable[[_R], Awaitable[_T]]) -> dict[_R, _T]:
    """What `read` gives for each key, several at a time; the first failure ends it."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(key: _R) -> _T:
        async with gate:
            return await read(key)

    return dict(zip(keys, await asyncio.gather(*(one(key) for key in keys)), strict=True))
