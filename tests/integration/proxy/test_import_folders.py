"""Stores and caches of others become part of ours: checked, resumable, and never at the expense of what is stored."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.commands import CommandRun, Site
from support.modules_fixture import SampleModule, write_file_proxy
from support.proxy_process import Settings, running

MODULES = [
    SampleModule("example.com/m", "v1.0.0"),
    SampleModule("example.com/m", "v1.1.0-pre.1"),
    SampleModule("example.com/m", "v0.0.0-20200102030405-abcdefabcdef"),
    SampleModule("github.com/Azure/X", "v2.0.0+incompatible"),
    SampleModule("example.com/a/b_c/v3", "v3.0.1"),
]
MANY = [SampleModule(f"example.com/many{number}", "v1.0.0") for number in range(300)]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site", Settings("off"))


def counts(run: CommandRun) -> tuple[int, int, int]:
    return run.document["imported"], run.document["present"], run.document["failed"]


def athens_store(root: Path, modules: list[SampleModule]) -> Path:
    """What Athens itself leaves on a disk."""
    for module in modules:
        folder = root / module.path / module.version
        folder.mkdir(parents=True)
        for name, data in (
            ("go.mod", module.mod),
            ("source.zip", module.zip),
            (f"{module.version}.info", module.info),
        ):
            (folder / name).write_bytes(data)
    return root


def stored(site: Site, modules: list[SampleModule]) -> dict[str, bytes]:
    """The files of these modules as a store has them."""
    files: dict[str, bytes] = {}
    for module in modules:
        base = f"{module.path}/{module.version}"
        files |= {f"{base}/go.mod": module.mod, f"{base}/source.zip": module.zip}
        files[f"{base}/{module.version}.info"] = module.info
    return files


@pytest.mark.parametrize("layout", ["cache/download", "goproxy", "athens"])
def test_a_store_of_others_is_taken_whole_and_a_second_run_takes_nothing(
    site: Site, tmp_path: Path, layout: str
) -> None:
    source = tmp_path / "source"
    if layout == "athens":
        athens_store(source, MODULES)
    else:
        write_file_proxy(source / layout if layout != "goproxy" else source, MODULES)
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}

    first = site.run("import", source).ok()
    second = site.run("import", source, "--json").ok()

    assert (counts(first), counts(second)) == ((5, 0, 0), (0, 5, 0))
    assert second.stdout.count("\n") == 1
    assert site.files() == stored(site, MODULES)
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == before


def test_what_was_imported_is_served(site: Site, tmp_path: Path) -> None:
    site.run("import", write_file_proxy(tmp_path / "source", MODULES)).ok()

    with running(site.folder, site.settings) as proxy:
        listed = proxy.ask("/example.com/m/@v/list")
        zipped = proxy.ask("/github.com/!azure/!x/@v/v2.0.0+incompatible.zip")

    assert listed.text == "v1.0.0\nv1.1.0-pre.1\n"
    assert zipped.body == MODULES[3].zip


def test_files_that_a_cache_lacks_are_made_and_versions_without_zip_are_left_out(site: Site, tmp_path: Path) -> None:
    folder = write_file_proxy(tmp_path / "source", MODULES[:2]) / "example.com/m/@v"
    (folder / "v1.0.0.info").unlink()
    (folder / "v1.0.0.mod").unlink()
    (folder / "v1.1.0-pre.1.zip").unlink()

    run = site.run("import", tmp_path / "source").ok()

    assert counts(run) == (1, 0, 0)
    assert "1 versions have no zip there and are left out" in run.stderr
    module = MODULES[0]
    assert site.files() == stored(site, [module]) | {"example.com/m/v1.0.0/v1.0.0.info": b'{"Version":"v1.0.0"}'}


def test_other_bytes_than_the_stored_ones_are_refused_and_the_rest_is_taken(site: Site, tmp_path: Path) -> None:
    site.run("import", write_file_proxy(tmp_path / "source", MODULES)).ok()
    before = site.files()
    other = SampleModule("example.com/m", "v1.0.0", files={"other.go": b"package m\n"})
    new = SampleModule("example.com/new")

    run = site.run("import", write_file_proxy(tmp_path / "other", [other, new]))

    assert (run.code, counts(run)) == (1, (1, 0, 1))
    assert "checksum mismatch" in run.document["failures"][0]["reason"]
    assert "the stored one is kept" in run.document["failures"][0]["reason"]
    assert site.files() == before | stored(site, [new])


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("v1.0.0.zip", MODULES[0].zip[:-9], "it has an invalid module zip"),
        ("v1.0.0.zip", b"", "it has an invalid module zip"),
        ("v1.0.0.zip", MODULES[1].zip, "does not start with"),
        ("v1.0.0.ziphash", b"h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=", "the file beside the zip has h1:G7mA"),
        ("v1.0.0.info", b'{"Version":"v1.0.1"}', "its .info is that of another version"),
        ("v1.0.0.info", b"<html>", "the revision info is no JSON"),
    ],
    ids=["cut", "empty", "another version", "other sum", "other info", "page"],
)
def test_a_damaged_version_is_refused_with_its_reason_and_the_others_are_taken(
    site: Site, tmp_path: Path, name: str, data: bytes, reason: str
) -> None:
    source = write_file_proxy(tmp_path / "source", MODULES)
    (source / "example.com/m/@v" / name).write_bytes(data)

    run = site.run("import", source)

    assert (run.code, counts(run)) == (1, (4, 0, 1))
    assert reason in run.document["failures"][0]["reason"]
    assert reason in run.stderr
    assert "Traceback" not in run.stderr
    assert site.files() == stored(site, MODULES[1:])
    assert list((site.store / ".athens" / "tmp").iterdir()) == []


def test_versions_must_have_the_sums_of_a_go_sum_that_is_given(site: Site, tmp_path: Path) -> None:
    source = write_file_proxy(tmp_path / "source", MODULES[:2])
    go_sum = tmp_path / "go.sum"
    go_sum.write_text("example.com/m v1.0.0/go.mod h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=\n")

    run = site.run("import", source, "--go-sum", go_sum)

    assert (run.code, counts(run)) == (1, (1, 0, 1))
    assert "its go.mod has h1:" in run.stderr


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["nowhere"], "nowhere: cannot be read"),
        (["empty"], "no module versions are in it"),
        (["tree", "--go-sum", "conflict"], "conflict:2: example.com/m v1.0.0 has "),
        ([], "required"),
        (["tree", "--workers", "0"], "use a number from 1 to 64"),
    ],
)
def test_input_that_cannot_be_used_ends_with_status_2_and_a_line(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argv: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write_file_proxy(tmp_path / "tree", MODULES)
    sums = ("G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=", "w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=")
    (tmp_path / "conflict").write_text("".join(f"example.com/m v1.0.0 h1:{sum_}\n" for sum_ in sums))

    run = site.run("import", *argv)

    assert (run.code, run.stdout) == (2, "")
    assert says in run.stderr
    assert site.files() == {}


@pytest.mark.parametrize("kind", ["foreign", "cut", "changed"])
def test_a_file_that_is_no_sound_bundle_is_refused_with_one_line(site: Site, tmp_path: Path, kind: str) -> None:
    tree = write_file_proxy(tmp_path / "tree", MODULES)
    here = Site(tmp_path / "here", Settings(f"file://{tree}", ("GOSUMDB=off",)))
    bundle = tmp_path / "bundle.tar.zst"
    here.run("export", "example.com/m@v1.0.0", "-o", bundle).ok()
    sound = bundle.read_bytes()
    bundle.write_bytes(
        {"foreign": MODULES[0].zip, "cut": sound[:-100], "changed": sound[:200] + b"!" + sound[201:]}[kind]
    )

    run = site.run("import", bundle)

    assert (run.code, run.stdout, run.stderr.count("\n")) == (1, "", 1)
    assert run.stderr.startswith(f"{bundle}: it")
    assert site.files() == {}


@pytest.fixture
def small_store(site: Site) -> Iterator[Site]:
    """A site whose store is a disk of half a megabyte."""
    site.store.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", site.store], check=True)
    yield site
    subprocess.run(["umount", site.store], check=True)


def test_a_full_disk_ends_with_one_line_and_the_same_command_goes_on_once_there_is_room(
    small_store: Site, tmp_path: Path
) -> None:
    source = write_file_proxy(tmp_path / "source", MANY)

    stopped = small_store.run("import", source, "--json")
    whole = small_store.files()
    subprocess.run(["mount", "-o", "remount,size=64m", small_store.store], check=True)
    finished = small_store.run("import", source).ok()

    assert stopped.code == 1
    assert stopped.stderr.count("\n") == 1
    assert "no space is left; enlarge the disk" in stopped.stderr
    infos = [name for name in whole if name.endswith(".info")]
    assert len(infos) == stopped.document["imported"] > 0
    complete = stored(small_store, MANY)
    assert all(complete[name] == data for name, data in whole.items())
    assert counts(finished)[1:] == (stopped.document["imported"], 0)
    assert small_store.files() == complete


def test_two_imports_at_once_into_one_store_leave_it_whole(site: Site, tmp_path: Path) -> None:
    source = write_file_proxy(tmp_path / "source", MANY)

    processes = [site.start("import", source, "--json") for _ in range(2)]
    ended = [(process.communicate(), process.returncode) for process in processes]

    assert [code for _, code in ended] == [0, 0], ended
    assert site.files() == stored(site, MANY)


def test_an_import_that_was_killed_is_continued_by_the_same_command(site: Site, tmp_path: Path) -> None:
    source = write_file_proxy(tmp_path / "source", MANY)
    with site.start("import", source, "--workers", "1") as killed:
        while not list(site.store.glob("example.com/*/v1.0.0/v1.0.0.info")):
            assert killed.poll() is None
        killed.kill()

    run = site.run("import", source).ok()

    assert run.document["imported"] + run.document["present"] == len(MANY)
    assert run.document["present"] > 0
    assert site.files() == stored(site, MANY)
