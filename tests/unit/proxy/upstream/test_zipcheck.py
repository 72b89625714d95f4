"""A module zip is stored only if the go command can unpack it, and its sum is the one in go.sum."""

from __future__ import annotations

import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from athens_proxy.checksums.dirhash import mod_hash1
from athens_proxy.errors import InvalidModuleZip
from athens_proxy.upstream import zipcheck
from athens_proxy.upstream.zipcheck import checked_zip_h1
from support.modules_fixture import SampleModule, zip_bytes

MODULE = SampleModule()
PREFIX = "example.com/m@v1.0.0/"


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "module.zip"
    path.write_bytes(data)
    return path


def problem(tmp_path: Path, data: bytes) -> str:
    with pytest.raises(InvalidModuleZip) as caught:
        checked_zip_h1(written(tmp_path, data), MODULE.wanted)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_the_sums_are_those_of_the_go_command(tmp_path: Path) -> None:
    """Both were printed by `go mod download -json` for these very bytes."""
    plain = SampleModule(files={"a.txt": b"a\n"}, go_mod=b"module example.com/m\n")

    assert mod_hash1(plain.mod) == "h1:flS2VctbRrTv+sBE+VKgxx6hlkMGPVz9MGOmzMYFg3k="
    assert checked_zip_h1(written(tmp_path, plain.zip), plain.wanted) == (
        "h1:4NpV0wHAK0h03u0ViSdvoe/T/6HS7zPXYRgms6UY6k8="
    )


def test_directory_entries_count_for_the_sum(tmp_path: Path) -> None:
    files = [(PREFIX + "go.mod", MODULE.mod), (PREFIX + "d/x.go", b"package d\n")]
    plain = checked_zip_h1(written(tmp_path, zip_bytes(files)), MODULE.wanted)
    with_directory = checked_zip_h1(written(tmp_path, zip_bytes([*files, (PREFIX + "d/", b"")])), MODULE.wanted)

    assert plain != with_directory


def test_a_directory_with_content_is_refused(tmp_path: Path) -> None:
    assert "a directory with content" in problem(tmp_path, zip_bytes([(PREFIX + "d/", b"hidden")]))


def test_stored_entries_and_unicode_letters_are_allowed(tmp_path: Path) -> None:
    files = [(PREFIX + "größe.go", b"package m\n"), (PREFIX + "испытание/x.go", b"package x\n")]

    assert checked_zip_h1(written(tmp_path, zip_bytes(files, compression=zipfile.ZIP_STORED)), MODULE.wanted)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["other.com/m@v1.0.0/a.go"], "does not start with"),
        ([PREFIX + "../evil.go"], "invalid path element"),
        ([PREFIX + "a/../../evil.go"], "not clean"),
        ([PREFIX + "a//b.go"], "not clean"),
        ([PREFIX + "./a.go"], "not clean"),
        ([PREFIX + "/etc/passwd"], "not clean"),
        ([PREFIX + "a\\b.go"], "invalid char"),
        ([PREFIX + "a:b"], "invalid char"),
        ([PREFIX + "a\nb"], "invalid char"),
        ([PREFIX + "aux.go"], "disallowed"),
        ([PREFIX + "dir./x"], "trailing dot"),
        ([PREFIX + "☺.go"], "invalid char"),
        ([PREFIX + "A.go", PREFIX + "a.go"], "only in case"),
        ([PREFIX + "D/x.go", PREFIX + "d/y.go"], "only in case"),
        ([PREFIX + "Ä.go", PREFIX + "ä.go"], "only in case"),
        ([PREFIX + "ß.go", PREFIX + "\u1e9e.go"], "only in case"),
        ([PREFIX + "d", PREFIX + "d/x.go"], "both a file and a directory"),
        ([PREFIX + "d/x.go", PREFIX + "d"], "both a file and a directory"),
        ([PREFIX + "sub/go.mod"], "only allowed in the root"),
        ([PREFIX + "GO.MOD"], "only allowed in the root"),
    ],
)
def test_a_broken_rule_is_named(tmp_path: Path, names: list[str], said: str) -> None:
    assert said in problem(tmp_path, zip_bytes([(name, b"") for name in names]))


@pytest.mark.parametrize("names", [[], [PREFIX], [PREFIX + "d/"]])
def test_a_zip_without_files_is_a_module_zip(tmp_path: Path, names: list[str]) -> None:
    """A repository whose root holds nested modules alone has such versions, and the go command takes them."""
    assert checked_zip_h1(written(tmp_path, zip_bytes([(name, b"") for name in names])), MODULE.wanted)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    assert "twice" in problem(tmp_path, zip_bytes([(PREFIX + "a.go", b"1"), (PREFIX + "a.go", b"2")]))


def test_a_vendored_or_hidden_file_is_no_problem(tmp_path: Path) -> None:
    files = [(PREFIX + ".git/config", b""), (PREFIX + "vendor/x/y.go", b"")]

    assert checked_zip_h1(written(tmp_path, zip_bytes(files)), MODULE.wanted)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_method_that_go_does_not_know_is_refused(tmp_path: Path, method: int) -> None:
    assert "unsupported compression" in problem(tmp_path, zip_bytes([(PREFIX + "a", b"a" * 99)], compression=method))


@pytest.mark.parametrize(
    "data", [b"", b"PK", b"<html>not found</html>", b"PK\x05\x06" + b"\xff" * 18, b"\x00" * 70_000]
)
def test_what_is_no_zip_is_refused(tmp_path: Path, data: bytes) -> None:
    assert "invalid module zip" in problem(tmp_path, data)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    data = MODULE.zip
    for length in range(0, len(data), 7):
        problem(tmp_path, data[:length])


def test_a_flipped_content_byte_is_refused(tmp_path: Path) -> None:
    data = bytearray(zip_bytes([(PREFIX + "a.go", b"package a\n")], compression=zipfile.ZIP_STORED))
    data[data.index(b"package")] ^= 1

    assert "CRC-32" in problem(tmp_path, bytes(data))


def test_no_flip_of_one_byte_crashes_the_check(tmp_path: Path) -> None:
    data = MODULE.zip
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 0x5A
        try:
            checked_zip_h1(written(tmp_path, bytes(damaged)), MODULE.wanted)
        except InvalidModuleZip:
            continue


def test_content_larger_than_declared_is_refused_while_it_is_read(tmp_path: Path) -> None:
    data = bytearray(zip_bytes([(PREFIX + "a.go", b"0" * 1_000_000)]))
    header = data.rindex(b"PK\x01\x02")
    struct.pack_into("<L", data, header + 24, 10)

    assert "declared 10 bytes" in problem(tmp_path, bytes(data))


def test_declared_sizes_beyond_the_limit_are_refused_before_anything_is_unpacked(tmp_path: Path) -> None:
    data = bytearray(zip_bytes([(PREFIX + "a.go", b"0"), (PREFIX + "b.go", b"0")]))
    for at in (data.index(b"PK\x01\x02"), data.rindex(b"PK\x01\x02")):
        struct.pack_into("<L", data, at + 24, zipcheck.MAX_ZIP_BYTES // 2 + 1)

    assert "larger than the limit" in problem(tmp_path, bytes(data))


@pytest.mark.parametrize("name", ["go.mod", "LICENSE"])
def test_go_mod_and_license_have_their_own_limit(tmp_path: Path, name: str) -> None:
    data = bytearray(zip_bytes([(PREFIX + name, b"0")]))
    struct.pack_into("<L", data, data.index(b"PK\x01\x02") + 24, 16 * 1024 * 1024 + 1)

    assert "larger than the limit" in problem(tmp_path, bytes(data))


def test_memory_stays_flat_whatever_the_size_of_a_file(tmp_path: Path) -> None:
    path = written(tmp_path, zip_bytes([(PREFIX + "zeros", b"\0" * (64 << 20))]))
    tracemalloc.start()
    checked_zip_h1(path, MODULE.wanted)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak_bytes < 4 << 20


def test_a_zip64_archive_is_read(tmp_path: Path) -> None:
    path = tmp_path / "module.zip"
    with zipfile.ZipFile(path, "w") as archive, archive.open(PREFIX + "a.go", "w", force_zip64=True) as entry:
        entry.write(b"package a\n")
    small = zip_bytes([(PREFIX + "a.go", b"package a\n")])

    assert checked_zip_h1(path, MODULE.wanted) == checked_zip_h1(written(tmp_path, small), MODULE.wanted)
