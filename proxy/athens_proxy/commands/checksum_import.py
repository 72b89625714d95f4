"""What comes along of a checksum database: proven by its own signed tree, then fitted to the tree that is known here.

What is kept is what a proxy without network answers from. All kept records must be provable in the newest kept tree,
and that must continue every tree which clients have seen here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from athens_proxy.checksums.lookups import LookupAnswer, with_newer_head
from athens_proxy.checksums.note import InvalidNote, TreeHead, VerifierKey, open_note, tree_head
from athens_proxy.checksums.tree_slice import MissingTile, TreeSlice, Unproven, needed_tiles
from athens_proxy.errors import BadUpstreamAnswer, ModuleNotFound
from athens_proxy.modules import ModuleVersion
from athens_proxy.upstream.kept_answers import Records
from athens_proxy.upstream.sumdb_requests import Lookup, parse_request

AT_ONCE: Final = 16
TRIES: Final = 3
_LOOKUPS: Final = "lookup/"
_NEWEST: Final = ("latest", "newest")  # the relay's and the verifier's


@dataclass(slots=True)
class ProvenPart:
    """Records that one signed tree has, with the tiles that prove it.

    Attributes:
        database: its name.
        slice: of the tree.
        note: the tree's signed head.
        answers: of the records that are proven.
        left_out: records whose proof is not there, with the reason of the first.
    """

    database: str
    slice: TreeSlice
    note: bytes
    answers: dict[ModuleVersion, LookupAnswer] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def sums(self) -> dict[ModuleVersion, tuple[str, str]]:
        """The `h1:` sums of zip and go.mod that the database has."""
        return {wanted: answer.sums_of(wanted) for wanted, answer in self.answers.items()}


def proven_part(key: VerifierKey, lookups: Mapping[str, bytes], tiles: Mapping[str, bytes]) -> ProvenPart | None:
    """What these answers prove; None without any.

    Args:
        key: of the database.
        lookups: answers by path (`lookup/…`); those that cannot be proven are left out.
        tiles: bytes by path.

    Raises:
        Unproven: the tiles do not make the newest tree among the answers.
    """
    answers: dict[ModuleVersion, LookupAnswer] = {}
    left_out: list[str] = []
    for path, data in sorted(lookups.items()):
        try:
            request = parse_request(path)
            if isinstance(request, Lookup):
                answers[request.wanted] = LookupAnswer.parse(data, key)
        except (ModuleNotFound, InvalidNote) as error:
            left_out.append(f"{path}: {error}")
    if not answers:
        return None
    head, note = max(((answer.head, answer.note) for answer in answers.values()), key=lambda tree: tree[0].size)
    part = ProvenPart(key.name, TreeSlice(head, tiles), note, left_out=left_out)
    for wanted, answer in answers.items():
        _try(part, wanted, answer)
    return part


def _try(part: ProvenPart, wanted: ModuleVersion, answer: LookupAnswer) -> None:
    try:
        part.slice.check_record(answer.record_id, answer.record)
    except Unproven as error:
        part.left_out.append(f"{wanted}: {error}")
    else:
        part.answers[wanted] = answer


@dataclass(frozen=True, slots=True)
class Kept:
    """What a store has of a part now.

    Attributes:
        records: how many.
        left_out: why the others are not kept, one line each.
    """

    records: int = 0
    left_out: tuple[str, ...] = ()


async def continuation_problem(
    records: Records, key: VerifierKey, part: ProvenPart, earlier: Collection[int] = ()
) -> str:
    """Why nobody can tell whether the part's tree goes on from the one that is known here; "" when that is shown.

    Args:
        records: of the store.
        key: of the database.
        part: what came; an older tree than the known one is no problem yet.
        earlier: sizes of the trees that the part says to continue.

    Raises:
        BadUpstreamAnswer: it does not go on from it: the database showed different trees.
    """
    for size in earlier:
        with suppress(Unproven):  # only what is known here is needed
            part.slice.check_earlier(size)
    known = await _newest(records, key)
    if known is None or known[0].size > part.slice.head.size:
        return ""
    trees = f"the tree of {known[0].size} records of {part.database}"
    try:
        part.slice.check_beginning(known[0])
    except MissingTile as error:
        shown = ", ".join(str(size) for size in earlier) or "none"
        return (
            f"clients of this store know {trees}, and nothing shows that the tree of {part.slice.head.size} continues"
            f" it ({error}; it shows that for: {shown}): export again with --since and the bundle that was imported"
            " here before"
        )
    except Unproven as error:
        raise BadUpstreamAnswer(
            f"clients of this store know {trees}; what came does not continue it: {error}"
        ) from error
    return ""


async def keep(records: Records, key: VerifierKey, part: ProvenPart) -> Kept:
    """Put the part into a store; nothing of it where `continuation_problem` finds one.

    Another import may do the same meanwhile: what was written is looked at again and fitted to the newer tree.

    Raises:
        BadUpstreamAnswer: as `continuation_problem`.
        StorageError: the store cannot be written.
    """
    kept = Kept()
    for _ in range(TRIES):
        if problem := await continuation_problem(records, key, part):
            return Kept(0, (*part.left_out, *(f"{wanted}: {problem}" for wanted in part.answers)))
        known = await _newest(records, key)
        fitted, reasons = part, tuple[str, ...]()
        if known is not None and known[0].size > part.slice.head.size:
            fitted, reasons = await _fitted(records, part, known)
        await _write(records, fitted)
        kept = Kept(len(fitted.answers), (*part.left_out, *reasons))
        now = await _newest(records, key)
        if now == known or now is None or now[0].size <= fitted.slice.head.size:
            break
    return kept


async def _fitted(
    records: Records, part: ProvenPart, known: tuple[TreeHead, bytes]
) -> tuple[ProvenPart, tuple[str, ...]]:
    """The part's records in the newer tree that is known here, as far as tiles of both sides prove them."""
    head, note = known
    own = part.slice.proven_tiles()
    needed = needed_tiles(head.size, records=[answer.record_id for answer in part.answers.values()])
    tiles = dict(own)
    for tile in needed:
        if tile.path not in tiles and (data := await _read(records, part.database, tile.path)) is not None:
            tiles[tile.path] = data
    try:
        fitted = ProvenPart(part.database, TreeSlice(head, tiles), note)
    except Unproven as error:
        return ProvenPart(part.database, part.slice, note), tuple(f"{wanted}: {error}" for wanted in part.answers)
    for wanted, answer in part.answers.items():
        _try(fitted, wanted, answer)
    return fitted, tuple(fitted.left_out)


async def _write(records: Records, part: ProvenPart) -> None:
    files = part.slice.proven_tiles() if part.answers else {}
    for wanted, answer in part.answers.items():
        data = f"{answer.record_id}\n".encode() + answer.record + b"\n" + answer.note
        files[Lookup(wanted).path] = with_newer_head(data, part.note)
    gate = asyncio.Semaphore(AT_ONCE)

    async def write(path: str, data: bytes) -> None:
        async with gate:
            if await _read(records, part.database, path) != data:
                await records.write_record(_record(part.database, path), data)

    await asyncio.gather(*(write(path, data) for path, data in files.items()))
    if part.answers:
        for name in _NEWEST:  # last: what it promises is there
            await write(name, part.note)


async def _newest(records: Records, key: VerifierKey) -> tuple[TreeHead, bytes] | None:
    """The newest tree that this store knows; one that the key did not sign is as good as none."""
    note = await _read(records, key.name, _NEWEST[1])
    if note is None:
        return None
    try:
        return tree_head(open_note(note, key)), note
    except InvalidNote:
        return None


async def _read(records: Records, database: str, path: str) -> bytes | None:
    try:
        return await records.read_record(_record(database, path))
    except ModuleNotFound:
        return None


def _record(database: str, path: str) -> str:
    return f"sumdb/{database}/{path}"
