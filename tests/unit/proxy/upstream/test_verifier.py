"""No sum is believed that does not follow from a tree the database signed."""

from __future__ import annotations

import pytest

from athens_proxy.checksums import tlog
from athens_proxy.checksums.note import SUM_GOLANG_ORG, InvalidNote, VerifierKey, open_note
from athens_proxy.checksums.tlog import TileAt, edge_tiles, root_of_edge
from athens_proxy.checksums.verifier import Sums, Verifier
from athens_proxy.errors import BadUpstreamAnswer, ChecksumMismatch, ModuleNotFound
from athens_proxy.modules import ModulePath, ModuleVersion
from support.checksum_log import ChecksumLog, mth, record

GOOD = Sums("h1:zip", "h1:mod")


def wanted(number: int, path: str = "example.com/m") -> ModuleVersion:
    return ModuleVersion.parse(ModulePath.parse(path), f"v1.{number}.0")


def log_of(size: int, seed: bytes = bytes(32)) -> ChecksumLog:
    return ChecksumLog([record("example.com/m", f"v1.{number}.0") for number in range(size)], seed=seed)


async def check(verifier: Verifier, version: ModuleVersion, sums: Sums) -> None:
    (await verifier.vouched(version)).check(sums)


def verifier_of(log: ChecksumLog) -> Verifier:
    return Verifier(VerifierKey.parse(log.key), log)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 255, 256, 257, 300, 511, 512, 700])
def test_edge_tiles_make_the_root_of_rfc_6962(size: int) -> None:
    log = log_of(size)
    edges = [tlog.hashes_of(log.tile_bytes(tile)) for tile in edge_tiles(size)]

    assert root_of_edge(edges) == mth(log.records)


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (TileAt(0, 0, 256), "tile/8/0/000"),
        (TileAt(1, 0, 1), "tile/8/1/000.p/1"),
        (TileAt(0, 1234067, 256), "tile/8/0/x001/x234/067"),
        (TileAt(2, 1000, 5), "tile/8/2/x001/000.p/5"),
    ],
)
def test_tiles_have_their_paths(tile: TileAt, path: str) -> None:
    assert tile.path == path


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 600])
async def test_every_record_of_a_log_is_proven(size: int) -> None:
    log = log_of(size)
    verifier = verifier_of(log)
    for number in {0, size // 2, size - 1}:
        await check(verifier, wanted(number), GOOD)


async def test_a_third_tile_level_is_proven() -> None:
    log = log_of(256 * 256 + 300)

    await check(verifier_of(log), wanted(70), GOOD)


@pytest.mark.parametrize("sums", [Sums("h1:other", "h1:mod"), Sums("h1:zip", "h1:other")])
async def test_another_sum_is_a_mismatch_with_both_sums(sums: Sums) -> None:
    with pytest.raises(ChecksumMismatch, match=r"h1:other, sum\.example\.com has h1:(zip|mod)"):
        await check(verifier_of(log_of(3)), wanted(1), sums)


async def test_an_unknown_version_is_not_found() -> None:
    with pytest.raises(ModuleNotFound):
        await check(verifier_of(log_of(3)), wanted(9), GOOD)


async def test_a_record_of_another_version_vouches_for_nothing() -> None:
    log = log_of(3)
    log.spoilt[f"lookup/{wanted(2)}"] = log.answer(1)

    with pytest.raises(BadUpstreamAnswer, match="without a sum"):
        await check(verifier_of(log), wanted(2), GOOD)


def forged(log: ChecksumLog) -> dict[str, bytes]:
    """Answers to the lookup of v1.1.0 that lie about sums `h1:evil`, each in its own way."""
    evil = record("example.com/m", "v1.1.0", "h1:evil", "h1:evil")
    honest = log.answer(1)
    other = ChecksumLog([*log.records[:1], evil, *log.records[2:]], seed=b"\x07" * 32)
    return {
        "record replaced": honest.replace(b"h1:zip", b"h1:evil").replace(b"h1:mod", b"h1:evil"),
        "signed by another key": other.answer(1),
        "signature cut": honest[:-20] + b"\n",
        "no signature": honest.rpartition("\u2014".encode())[0],
        "id outside the tree": b"300\n" + evil + b"\n" + log.note(len(log.records)),
        "id of another record": b"2\n" + evil + b"\n" + log.note(len(log.records)),
        "malformed": b"<html>",
        "empty": b"\n",
        "control character": honest.replace(b"tree", b"tr\x07ee"),
    }


@pytest.mark.parametrize("lie", list(forged(log_of(300))))
async def test_a_forged_lookup_is_never_believed(lie: str) -> None:
    log = log_of(300)
    log.spoilt[f"lookup/{wanted(1)}"] = forged(log)[lie]

    with pytest.raises(BadUpstreamAnswer, match="cannot be trusted"):
        await check(verifier_of(log), wanted(1), Sums("h1:evil", "h1:evil"))


@pytest.mark.parametrize("path", ["tile/8/0/000", "tile/8/0/001.p/44", "tile/8/1/000.p/1"])
@pytest.mark.parametrize("kind", ["flipped", "short"])
async def test_a_forged_tile_is_never_believed(path: str, kind: str) -> None:
    log = log_of(300)
    width = int(path.partition(".p/")[2] or 256)
    log.spoilt[path] = bytes(32 * width) if kind == "flipped" else bytes(32 * width - 1)

    with pytest.raises(BadUpstreamAnswer, match="cannot be trusted"):
        await check(verifier_of(log), wanted(1), GOOD)


async def test_what_was_spoilt_in_the_cache_is_asked_afresh() -> None:
    log = log_of(300)
    log.spoilt_once = {"tile/8/0/000": bytes(32 * 256), f"lookup/{wanted(1)}": b"<html>"}

    await check(verifier_of(log), wanted(1), GOOD)


async def test_the_newest_tree_is_kept_and_grows() -> None:
    log = log_of(600)
    log.spoilt = {f"lookup/{wanted(n)}": log.answer(n, size=size) for n, size in ((1, 300), (2, 600), (3, 400))}
    verifier = verifier_of(log)
    for number in (1, 2, 3):
        await check(verifier, wanted(number), GOOD)

    assert log.kept == log.note(600)


async def test_the_kept_tree_binds_the_next_process() -> None:
    log = log_of(300)
    await check(verifier_of(log), wanted(1), GOOD)
    forked = ChecksumLog([record("example.com/m", f"v1.{n}.0", "h1:evil", "h1:evil") for n in range(301)])
    forked.kept = log.kept

    with pytest.raises(BadUpstreamAnswer, match="cannot be trusted"):
        await check(verifier_of(forked), wanted(1), Sums("h1:evil", "h1:evil"))


async def test_a_larger_tree_with_another_past_is_a_fork() -> None:
    log = log_of(300)
    verifier = verifier_of(log)
    await check(verifier, wanted(1), GOOD)
    log.records = [record("example.com/m", "v1.0.0", "h1:evil"), *log.records[1:], record("example.com/new", "v1.0.0")]

    with pytest.raises(BadUpstreamAnswer, match="how its tree of 301 begins"):
        await check(verifier, wanted(0, "example.com/new"), GOOD)


async def test_two_trees_of_one_size_are_a_fork() -> None:
    log = log_of(10)
    verifier = verifier_of(log)
    await check(verifier, wanted(1), GOOD)
    log.spoilt[f"lookup/{wanted(2)}"] = b"2\n" + log.records[2] + b"\n" + log.note(10, root=b"\x01" * 32)

    with pytest.raises(BadUpstreamAnswer, match="two different trees"):
        await check(verifier, wanted(2), GOOD)


async def test_a_proven_tile_is_read_once() -> None:
    log = log_of(600)
    verifier = verifier_of(log)
    for number in range(50):
        await check(verifier, wanted(number), GOOD)

    assert log.asked.count("tile/8/0/000") == 1


async def test_a_toolchain_needs_no_sum_of_its_go_mod() -> None:
    line = b"golang.org/toolchain v1.0.0 h1:zip\n"

    await check(verifier_of(ChecksumLog([line])), wanted(0, "golang.org/toolchain"), GOOD)


def test_the_key_of_the_public_database_is_sound() -> None:
    assert VerifierKey.parse(SUM_GOLANG_ORG).name == "sum.golang.org"


@pytest.mark.parametrize("text", ["", "a", "a+b+c", SUM_GOLANG_ORG.replace("033d", "133d"), "x+00000000+AA=="])
def test_a_bad_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidNote):
        VerifierKey.parse(text)


def test_a_note_that_the_public_database_signed_opens() -> None:
    note = (
        "go.sum database tree\n51929436\nmQw+jf8Ko94JweSoG8190LvpV8myM/RNeAJ9TYKnia8=\n\n— sum.golang.org Az3grkpNqcZO"
        "cvUPGEii+HGw4Omo/J/g+pjjn1+rGRhg6mVhwZBlloAIY+YYfBmHnOZbau4dxH0uzFPHVnZnnD3Sfg4=\n"
    )

    assert open_note(note.encode(), VerifierKey.parse(SUM_GOLANG_ORG)).startswith("go.sum database tree\n51929436\n")
