"""Bundles of somebody who knows how their sum is made: whatever is in them, nothing false gets into the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from athens_proxy.bundle.archive import BundleWriter
from athens_proxy.bundle.contents import MANIFEST, DatabasePart, Manifest, name_of_module_file
from athens_proxy.checksums.tree_slice import needed_tiles
from support.checksum_log import NAME, ChecksumLog, record
from support.commands import Site
from support.modules_fixture import SampleModule
from support.proxy_process import Settings

ONE, TWO = SampleModule("example.com/one"), SampleModule("example.com/two")
EVIL = SampleModule("example.com/one", files={"evil.go": b"package evil\n"})
Members = list[tuple[str, bytes]]


def files_of(module: SampleModule, h1: str) -> Members:
    parts = {"info": module.info, "mod": module.mod, "ziphash": h1.encode(), "zip": module.zip}
    return [(name_of_module_file(module.wanted, extension), data) for extension, data in parts.items()]


def h1_of(module: SampleModule, scratch: Path) -> str:
    scratch.mkdir(exist_ok=True)
    return module.fetched(scratch).zip_h1


@pytest.fixture
def sound(tmp_path: Path) -> Members:
    """The members of a bundle of two private modules."""
    manifest = (MANIFEST, Manifest([ONE.wanted, TWO.wanted]).encode())
    sums = [h1_of(module, tmp_path / "zips") for module in (ONE, TWO)]
    return [manifest, *files_of(ONE, sums[0]), *files_of(TWO, sums[1])]


def written(path: Path, members: Members) -> Path:
    with path.open("wb") as file:
        writer = BundleWriter(file)
        for name, data in members:
            writer.add(name, data)
        writer.close()
    return path


def replaced(name: str, data: bytes) -> Callable[[Members], Members]:
    return lambda members: [(own, data if own.endswith(name) else old) for own, old in members]


def without(name: str) -> Callable[[Members], Members]:
    return lambda members: [(own, data) for own, data in members if not own.endswith(name)]


CASES: dict[str, tuple[Callable[[Members], Members], str]] = {
    "no manifest": (without(MANIFEST), "its manifest is missing"),
    "manifest is no JSON": (replaced(MANIFEST, b"{"), "its manifest cannot be read"),
    "another format": (
        replaced(MANIFEST, b'{"format":"athens-bundle/9","databases":{},"versions":[]}'),
        "a format of another release",
    ),
    "manifest with a path": (
        replaced(MANIFEST, b'{"format":"athens-bundle/1","databases":{},"versions":["../x@v1.0.0"]}'),
        "no module version",
    ),
    "file outside": (lambda members: [*members[:1], ("../../etc/passwd", b"x"), *members[1:]], "no part of a bundle"),
    "file inside": (
        lambda members: [*members[:1], ("cache/download/x/@v/../../../e.zip", b"x"), *members[1:]],
        "no module version",
    ),
    "version not named": (replaced(MANIFEST, Manifest([ONE.wanted]).encode()), "not where its manifest says"),
    "version missing": (lambda members: members[:5], "versions that its manifest names are missing"),
    "file missing": (without("two/@v/v1.0.0.mod"), "example.com/two@v1.0.0 is incomplete"),
    "other zip": (replaced("one/@v/v1.0.0.zip", EVIL.zip), "checksum mismatch"),
    "zip of another module": (replaced("two/@v/v1.0.0.zip", ONE.zip), "does not start with"),
    "other info": (replaced("two/@v/v1.0.0.info", b'{"Version":"v9.9.9"}'), "that of another version"),
}


@pytest.mark.parametrize(("change", "reason"), CASES.values(), ids=CASES.keys())
def test_nothing_false_is_stored_and_the_reason_is_one_line(
    sound: Members, tmp_path: Path, change: Callable[[Members], Members], reason: str
) -> None:
    site = Site(tmp_path / "site", Settings("off"))

    run = site.run("import", written(tmp_path / "bundle.tar.zst", change(sound)))

    assert run.code == 1
    assert reason in run.stderr
    assert "Traceback" not in run.stderr
    expected = {f"{module.path}/v1.0.0/source.zip": module.zip for module in (ONE, TWO)}
    for name, data in site.files().items():
        assert expected.get(name, data) == data
    assert not list(tmp_path.rglob("passwd"))


def test_the_sound_one_is_taken(sound: Members, tmp_path: Path) -> None:
    site = Site(tmp_path / "site", Settings("off"))

    run = site.run("import", written(tmp_path / "bundle.tar.zst", sound)).ok()

    assert run.document["imported"] == 2


def with_database(log: ChecksumLog, sums: Members, tiles: dict[str, bytes]) -> Members:
    """One module with the record of a database for it."""
    manifest = Manifest([ONE.wanted], {NAME: DatabasePart(len(log.records))})
    base = f"cache/download/sumdb/{NAME}"
    lookup = (f"{base}/lookup/{ONE.path}@{ONE.version}", log.answer(270))
    return [(MANIFEST, manifest.encode()), lookup, *((f"{base}/{path}", data) for path, data in tiles.items()), *sums]


@pytest.mark.parametrize("kind", ["sound", "other zip", "other tile", "no tile", "other key", "unsigned"])
def test_only_what_the_database_of_this_site_has_signed_is_believed(tmp_path: Path, kind: str) -> None:
    log = ChecksumLog([record(f"example.com/m{number}", "v1.0.0") for number in range(300)])
    module = EVIL if kind == "other zip" else ONE
    fetched = ONE.fetched(tmp_path)
    log.records[270] = record(ONE.path, ONE.version, fetched.zip_h1, fetched.mod_h1)
    tiles = {tile.path: log.tile_bytes(tile) for tile in needed_tiles(300, records=[270])}
    if kind == "other tile":
        tiles = {path: bytes(len(data)) for path, data in tiles.items()}
    elif kind == "no tile":
        tiles = {}
    members = with_database(log, files_of(module, h1_of(module, tmp_path / "zips")), tiles)
    if kind == "unsigned":
        members = [(name, data.replace(b"\n300\n", b"\n299\n")) for name, data in members]
    stranger = ChecksumLog([], seed=bytes([7]) * 32)
    key = stranger.key if kind == "other key" else log.key
    site = Site(tmp_path / "site", Settings("off", (f"GOSUMDB={key}",), env={"ATHENS_SUM_DBS": f"https://{NAME}"}))

    run = site.run("import", written(tmp_path / "bundle.tar.zst", members))

    if kind == "sound":
        assert (run.ok().document["imported"], run.document["checksumRecords"]) == (1, 1)
        return
    reasons = {"other zip": f"{NAME} has h1:", "other key": "have no proven record", "unsigned": "no proven record"}
    assert run.code == 1
    assert reasons.get(kind, "not proven") in run.stderr
    assert site.files() == {}
