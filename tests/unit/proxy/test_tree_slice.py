"""A slice of a checksum database's tree proves what it should, and nothing else."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athens_proxy.checksums.lookups import LookupAnswer, with_newer_head
from athens_proxy.checksums.note import InvalidNote, TreeHead, VerifierKey, open_note, tree_head
from athens_proxy.checksums.tree_slice import MissingTile, TreeSlice, Unproven, needed_tiles
from athens_proxy.modules import ModulePath, ModuleVersion
from support.checksum_log import ChecksumLog, record

LARGEST = 1100  # four full tiles on the lowest level, and more


@cache
def log_of(size: int) -> ChecksumLog:
    return ChecksumLog([record(f"example.com/m{number}", "v1.0.0") for number in range(size)])


def head_of(size: int) -> TreeHead:
    log = log_of(size)
    return tree_head(open_note(log.note(size), VerifierKey.parse(log.key)))


def tiles(size: int, records: list[int], earlier: list[int]) -> dict[str, bytes]:
    return {tile.path: log_of(size).tile_bytes(tile) for tile in needed_tiles(size, records=records, earlier=earlier)}


SIZES = st.sampled_from([1, 2, 255, 256, 257, 300, 511, 512, 700, 1024, 1025, LARGEST])


@given(size=SIZES, data=st.data())
def test_the_needed_tiles_prove_the_records_they_are_needed_for(size: int, data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.integers(0, size - 1), max_size=4))
    found = TreeSlice(head_of(size), tiles(size, ids, []))

    for record_id in ids:
        found.check_record(record_id, log_of(size).records[record_id])


@given(sizes=st.lists(SIZES, min_size=2, max_size=2).map(sorted), data=st.data())
def test_the_proof_that_a_tree_continues_another_proves_its_records_too(sizes: list[int], data: st.DataObject) -> None:
    """What was proven in the earlier tree with its tiles is proven in the later one with those of both."""
    earlier, size = sizes
    record_id = data.draw(st.integers(0, earlier - 1))
    of_both = tiles(earlier, [record_id], []) | tiles(size, [], [earlier])
    found = TreeSlice(head_of(size), of_both)

    found.check_beginning(head_of(earlier))
    found.check_record(record_id, log_of(size).records[record_id])


def test_a_record_that_the_tree_does_not_have_is_not_proven() -> None:
    found = TreeSlice(head_of(700), tiles(700, [3, 600], []))

    with pytest.raises(Unproven, match="not in the signed tree"):
        found.check_record(3, record("example.com/evil", "v1.0.0"))
    with pytest.raises(Unproven, match="not in the signed tree"):
        found.check_record(600, log_of(700).records[601])
    with pytest.raises(Unproven, match="outside"):
        found.check_record(700, b"")
    with pytest.raises(MissingTile, match=r"tile/8/0/001 is missing"):
        found.check_record(300, log_of(700).records[300])


def test_any_changed_tile_is_noticed() -> None:
    sound = tiles(700, [3], [])
    for path in sound:
        changed = sound | {path: bytes([sound[path][0] ^ 1]) + sound[path][1:]}
        with pytest.raises(Unproven):
            TreeSlice(head_of(700), changed).check_record(3, log_of(700).records[3])
        with pytest.raises(Unproven):
            TreeSlice(head_of(700), sound | {path: sound[path][:-32]}).check_record(3, log_of(700).records[3])


def test_a_tree_that_begins_differently_is_found_out() -> None:
    found = TreeSlice(head_of(700), tiles(700, [], [300]))
    other = TreeHead(300, bytes(32))

    with pytest.raises(Unproven, match="shows different trees"):
        found.check_beginning(other)
    with pytest.raises(Unproven, match="cannot continue"):
        found.check_beginning(head_of(1025))
    with pytest.raises(MissingTile):
        TreeSlice(head_of(700), tiles(700, [], [])).check_earlier(256 + 1)


def test_only_tiles_that_a_proof_used_are_given_on() -> None:
    given_tiles = tiles(700, [3], [])
    found = TreeSlice(head_of(700), given_tiles | {"tile/8/0/001": bytes(8192), "tile/8/9/000": b"x"})
    found.check_record(3, log_of(700).records[3])

    assert found.proven_tiles() == given_tiles


def test_a_full_tile_stands_for_the_beginning_that_an_earlier_tree_had_of_it() -> None:
    full = log_of(LARGEST).tile_bytes(needed_tiles(512, records=[300])[0])
    wanted = tiles(300, [3], [])
    partial = next(path for path in wanted if path.startswith("tile/8/0/001.p/"))
    given_tiles = {path: data for path, data in wanted.items() if path != partial} | {"tile/8/0/001": full}

    found = TreeSlice(head_of(300), given_tiles)
    found.check_record(299, log_of(300).records[299])

    assert found.proven_tiles()[partial] == wanted[partial]


def test_an_answer_is_read_with_the_right_key_only() -> None:
    log = log_of(300)
    wanted = ModuleVersion.parse(ModulePath.parse("example.com/m7"), "v1.0.0")

    answer = LookupAnswer.parse(log.answer(7), VerifierKey.parse(log.key))

    assert (answer.record_id, answer.head.size, answer.sums_of(wanted)) == (7, 300, ("h1:zip", "h1:mod"))
    stranger = ChecksumLog([], seed=bytes([1]) * 32)
    with pytest.raises(InvalidNote):
        LookupAnswer.parse(log.answer(7), VerifierKey.parse(stranger.key))
    with pytest.raises(InvalidNote, match="malformed"):
        LookupAnswer.parse(b"7\n\n", VerifierKey.parse(log.key))


def test_an_answer_gets_a_newer_tree_but_never_an_older_one_or_one_without_it() -> None:
    log = log_of(700)

    assert with_newer_head(log.answer(7, size=300), log.note(700)) == log.answer(7, size=700)
    assert with_newer_head(log.answer(7, size=700), log.note(300)) == log.answer(7, size=700)
    assert with_newer_head(log.answer(299, size=300), log.note(299)) == log.answer(299, size=300)
    assert with_newer_head(log.answer(7, size=300), b"no note") == log.answer(7, size=300)
    assert with_newer_head(b"no answer", log.note(300)) == b"no answer"
