"""A bundle is what was written, or it is refused: nothing lost, nothing changed, nothing foreign."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from athens_proxy.bundle.archive import MAX_NAME_BYTES, TRAILER_BYTES, BundleWriter, InvalidBundle, opened_bundle

ELEMENTS = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=60)
NAMES = st.lists(ELEMENTS, min_size=1, max_size=12).map("/".join)
MEMBERS = st.dictionaries(NAMES, st.binary(max_size=2000), max_size=5)


def packed(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    writer = BundleWriter(file)
    for name, data in members.items():
        writer.add(name, data)
    writer.close()
    return file.getvalue()


def unpacked(folder: Path, data: bytes) -> dict[str, bytes]:
    path = folder / "bundle.tar.zst"
    path.write_bytes(data)
    with opened_bundle(path) as members:
        return {member.name: member.content.all(at_most_bytes=1 << 20) for member in members}


def refusal(folder: Path, data: bytes) -> str:
    with pytest.raises(InvalidBundle) as refused:
        unpacked(folder, data)
    return str(refused.value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundles")


@given(members=MEMBERS)
def test_what_is_written_is_read_again_and_twice_gives_the_same_bytes(folder: Path, members: dict[str, bytes]) -> None:
    assert unpacked(folder, packed(members)) == members
    assert packed(members) == packed(members)


@given(members=MEMBERS)
def test_tar_reads_the_same(folder: Path, members: dict[str, bytes]) -> None:
    body = zstandard.ZstdDecompressor().decompressobj().decompress(packed(members))
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        read = {entry.name: archive.extractfile(entry) for entry in archive}

        assert {name: file.read() for name, file in read.items() if file} == members


def test_the_tools_of_a_unix_system_list_it(tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar.zst"
    path.write_bytes(packed({"a.txt": b"a", "é/" + "w" * 300: b"b"}))

    listed = subprocess.run(["tar", "--zstd", "-tf", path], check=True, capture_output=True, text=True)

    assert listed.stdout.splitlines()[0] == "a.txt"
    assert listed.stderr == ""


SMALL = packed({"a": b"one", "b/" * 80 + "c": bytes(700), "d" * 200: b"x"})


def test_a_bundle_cut_off_at_any_byte_is_refused(tmp_path: Path) -> None:
    for size in range(len(SMALL)):
        assert refusal(tmp_path, SMALL[:size])


def test_a_bundle_with_any_byte_changed_is_refused(tmp_path: Path) -> None:
    for at in range(len(SMALL)):
        changed = bytearray(SMALL)
        changed[at] ^= 1 << at % 8

        assert refusal(tmp_path, bytes(changed))


def test_a_bundle_with_something_behind_it_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, SMALL + b"\0")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is no bundle"),
        (b"PK\3\4" + bytes(200), "it is no bundle"),
        (zstandard.compress(b"some log\n" * 100), "was not made by `athens-proxy export`"),
        (SMALL[:-TRAILER_BYTES], "it is cut off"),
        (SMALL[:40] + b"!" + SMALL[41:], "damaged or changed"),
    ],
    ids=["empty", "zip", "foreign", "cut", "changed"],
)
def test_the_refusal_says_what_is_wrong(tmp_path: Path, data: bytes, reason: str) -> None:
    assert reason in refusal(tmp_path, data)


def with_right_sum(tar: bytes) -> bytes:
    """A bundle of somebody who knows how its sum is made, with other content."""
    file = io.BytesIO()
    writer = BundleWriter(file)
    writer._write(tar)
    writer._put(writer._packer.flush())
    file.write(SMALL[-TRAILER_BYTES:-32] + writer._digest.digest())
    return file.getvalue()


def tar_of(**fields: object) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo("name")
        for name, value in fields.items():
            setattr(entry, name, value)
        archive.addfile(entry, io.BytesIO(bytes(entry.size)))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "tar",
    [
        tar_of(type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        tar_of(type=tarfile.DIRTYPE),
        tar_of(mode=0o4755),
        tar_of(uname="root"),
        tar_of(size=600)[:900],
        b"",
        bytes(512),
        bytes(1024) + b"more",
    ],
    ids=["link", "folder", "setuid", "owner", "short", "nothing", "half an end", "behind its end"],
)
def test_only_what_export_writes_is_accepted(tmp_path: Path, tar: bytes) -> None:
    assert refusal(tmp_path, with_right_sum(tar))


def test_a_member_larger_than_expected_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar.zst"
    path.write_bytes(packed({"a": bytes(2000)}))

    with opened_bundle(path) as members, pytest.raises(InvalidBundle, match="2000 bytes where at most 1999"):
        next(members).content.all(at_most_bytes=1999)


def test_a_member_that_is_not_read_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar.zst"
    path.write_bytes(packed({"a": bytes(5_000_000), "b": b"two"}))

    with opened_bundle(path) as members:
        assert [(member.name, member.size_bytes) for member in members] == [("a", 5_000_000), ("b", 3)]


def test_a_name_too_long_for_a_bundle_is_an_error_of_the_writer() -> None:
    with pytest.raises(ValueError, match="too long"):
        BundleWriter(io.BytesIO()).add("n" * (MAX_NAME_BYTES + 1), b"")
