"""What only the disk store promises: Athens' folders, the commit rule, and what it does when the disk misbehaves."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from athens_proxy.checksums.dirhash import mod_hash1
from athens_proxy.config.load import ConfigFile, load
from athens_proxy.config.sections import Config
from athens_proxy.errors import CannotStart, ChecksumMismatch, ModuleNotFound, StorageError, StorageFull
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.storage.disk import DiskStorage, open_disk_storage
from athens_proxy.storage.disk_save import storage_errors
from athens_proxy.storage.layout import version_dir
from athens_proxy.storage.scratch import FETCH
from athens_proxy.storage.storage import LEFTOVER_AGE_S
from athens_proxy.storage.sums import Sums
from athens_proxy.stores import open_storage
from athens_proxy.upstream.transport import scratch_folder
from athens_proxy.upstream.zipcheck import checked_zip_h1
from support.modules_fixture import SampleModule, zip_bytes

M = SampleModule()
SUMS = Sums(checked_zip_h1, mod_hash1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def storage(root: Path) -> DiskStorage:
    return open_disk_storage(root, sums=SUMS, create=True)


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


async def stored_zip(storage: DiskStorage, wanted: ModuleVersion) -> bytes:
    async with await storage.open_zip(wanted) as stored:
        return b"".join([chunk async for chunk in stored.chunks()])


async def test_the_layout_is_athens_layout(storage: DiskStorage, root: Path, tmp_path: Path) -> None:
    module = SampleModule("github.com/Azure/x", "v2.0.0+incompatible")

    await storage.save(module.fetched(tmp_path))

    folder = "github.com/Azure/x/v2.0.0+incompatible"
    assert {name for name in files_below(root) if not name.startswith(".athens/")} == {
        f"{folder}/go.mod",
        f"{folder}/source.zip",
        f"{folder}/v2.0.0+incompatible.info",
    }
    assert (root / folder / "go.mod").read_bytes() == module.mod
    assert (root / folder / "source.zip").read_bytes() == module.zip


async def test_a_version_that_athens_wrote_is_served_as_it_is(storage: DiskStorage, root: Path) -> None:
    folder = root / "github.com" / "Azure" / "x" / "v1.0.0"
    folder.mkdir(parents=True)
    for name, data in {"go.mod": b"m", "source.zip": M.zip, "v1.0.0.info": b"i"}.items():
        (folder / name).write_bytes(data)
    wanted = ModuleVersion.parse(ModulePath.parse("github.com/Azure/x"), "v1.0.0")

    assert await storage.versions(wanted.path) == ["v1.0.0"]
    assert (await storage.info(wanted), await storage.mod(wanted)) == (b"i", b"m")
    assert await stored_zip(storage, wanted) == M.zip
    assert (await storage.catalog(token="", limit=5)).entries == (wanted,)


@pytest.mark.parametrize("kept_bytes", [0, 1, 21, 22, 60, -22, -1])
async def test_a_zip_that_was_cut_off_is_fetched_again_under_its_sum(
    storage: DiskStorage, root: Path, tmp_path: Path, kept_bytes: int
) -> None:
    await storage.save(M.fetched(tmp_path))
    stored = root / "example.com" / "m" / "v1.0.0" / "source.zip"
    stored.write_bytes(M.zip[:kept_bytes])

    with pytest.raises(ModuleNotFound, match="damaged"):
        await storage.open_zip(M.wanted)
    with pytest.raises(ChecksumMismatch):
        await storage.save(SampleModule(files={"m.go": b"package other\n"}).fetched(tmp_path))
    await storage.save(M.fetched(tmp_path))

    assert await stored_zip(storage, M.wanted) == M.zip


async def test_a_zip_with_a_comment_is_whole(storage: DiskStorage, root: Path, tmp_path: Path) -> None:
    await storage.save(M.fetched(tmp_path))
    stored = root / "example.com" / "m" / "v1.0.0" / "source.zip"
    with zipfile.ZipFile(stored, "a") as archive:
        archive.comment = b"packed by another tool"

    assert await stored_zip(storage, M.wanted) == stored.read_bytes()


async def test_folders_that_are_no_versions_are_not_listed(storage: DiskStorage, root: Path, tmp_path: Path) -> None:
    await storage.save(M.fetched(tmp_path))
    for name in ("master", "v1", "v1.2", "v1.0.0+meta"):
        (root / "example.com" / "m" / name).mkdir()
        (root / "example.com" / "m" / name / f"{name}.info").write_bytes(b"{}")

    assert await storage.versions(M.wanted.path) == ["v1.0.0"]


async def test_a_version_without_its_info_does_not_exist_and_is_completed(
    storage: DiskStorage, root: Path, tmp_path: Path
) -> None:
    folder = root / "example.com" / "m" / "v1.0.0"
    folder.mkdir(parents=True)
    (folder / "go.mod").write_bytes(b"half")
    (folder / "source.zip").write_bytes(b"half")
    for ask in (storage.info, storage.mod, storage.open_zip, storage.delete):
        with pytest.raises(ModuleNotFound):
            await ask(M.wanted)
    assert await storage.versions(M.wanted.path) == []
    assert (await storage.catalog(token="", limit=5)).entries == ()

    await storage.save(M.fetched(tmp_path))

    assert await storage.mod(M.wanted) == M.mod
    assert await stored_zip(storage, M.wanted) == M.zip


async def test_an_evicted_zip_comes_back_only_under_its_sum(storage: DiskStorage, root: Path, tmp_path: Path) -> None:
    await storage.save(M.fetched(tmp_path))
    (root / "example.com" / "m" / "v1.0.0" / "source.zip").unlink()
    with pytest.raises(ModuleNotFound):
        await storage.open_zip(M.wanted)

    with pytest.raises(ChecksumMismatch):
        await storage.save(SampleModule(files={"m.go": b"package evil\n"}).fetched(tmp_path))
    with pytest.raises(ModuleNotFound):
        await storage.open_zip(M.wanted)
    await storage.save(M.fetched(tmp_path))

    assert await stored_zip(storage, M.wanted) == M.zip


async def test_another_packing_of_the_same_files_is_the_same_module(storage: DiskStorage, tmp_path: Path) -> None:
    await storage.save(M.fetched(tmp_path))
    fetched = M.fetched(tmp_path)
    with zipfile.ZipFile(fetched.zip_path) as packed:
        entries = [(info.filename, packed.read(info)) for info in packed.infolist()]
    fetched.zip_path.write_bytes(zip_bytes(entries, compression=zipfile.ZIP_STORED))

    await storage.save(fetched)

    assert await stored_zip(storage, M.wanted) == M.zip


async def test_a_zip_on_the_same_file_system_is_moved_not_copied(storage: DiskStorage, root: Path) -> None:
    fetched = M.fetched(storage.scratch)
    inode = fetched.zip_path.stat().st_ino

    await storage.save(fetched)

    assert (root / "example.com" / "m" / "v1.0.0" / "source.zip").stat().st_ino == inode
    assert files_below(storage.scratch) == set()


async def test_a_zip_on_another_file_system_is_copied(storage: DiskStorage) -> None:
    other = Path("/dev/shm") / f"athens-test-{os.getpid()}"  # the one other file system that every Linux has
    other.mkdir()
    try:
        await storage.save(M.fetched(other))

        assert await stored_zip(storage, M.wanted) == M.zip
    finally:
        for left in other.iterdir():
            left.unlink()
        other.rmdir()


async def test_old_leftovers_are_swept_at_start_and_young_ones_are_not(storage: DiskStorage, root: Path) -> None:
    (storage.scratch / "old").write_bytes(b"x")
    (storage.scratch / "old-fetch").mkdir()
    (storage.scratch / "old-fetch" / "zip").write_bytes(b"x")
    (storage.scratch / "young").write_bytes(b"x")
    day_before_yesterday = time.time() - 2 * LEFTOVER_AGE_S
    for name in ("old", "old-fetch"):
        os.utime(storage.scratch / name, (day_before_yesterday, day_before_yesterday))

    open_disk_storage(root, sums=SUMS, create=False)

    assert {path.name for path in storage.scratch.iterdir()} == {"young"}


async def test_a_delete_keeps_the_module_that_lies_below_the_version(storage: DiskStorage, tmp_path: Path) -> None:
    below = SampleModule("example.com/m/v1.0.0/sub", "v1.0.0")
    await storage.save(M.fetched(tmp_path))
    await storage.save(below.fetched(tmp_path))

    await storage.delete(M.wanted)

    assert await storage.versions(below.wanted.path) == ["v1.0.0"]
    assert (await storage.catalog(token="", limit=5)).entries == (below.wanted,)


async def test_links_are_followed_when_asked_for_but_not_walked(
    storage: DiskStorage, root: Path, tmp_path: Path
) -> None:
    await storage.save(M.fetched(tmp_path))
    (root / "example.com" / "circle").symlink_to(root)
    (root / "example.com" / "alias").symlink_to(root / "example.com" / "m")
    alias = ModuleVersion.parse(ModulePath.parse("example.com/alias"), "v1.0.0")

    assert await storage.mod(alias) == M.mod
    assert (await storage.catalog(token="", limit=50)).entries == (M.wanted,)


async def test_a_name_longer_than_the_disk_allows_is_not_found(storage: DiskStorage) -> None:
    wanted = ModuleVersion.parse(ModulePath.parse(f"example.com/{'a' * 300}"), "v1.0.0")

    with pytest.raises(ModuleNotFound):
        await storage.info(wanted)
    assert await storage.versions(wanted.path) == []


def test_a_missing_root_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(
        StorageError, match=r"open the disk storage .*/nowhere: it is not an existing folder; create it"
    ):
        open_disk_storage(tmp_path / "nowhere", sums=SUMS, create=False)


def test_a_root_that_is_a_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StorageError, match="not an existing folder"):
        open_disk_storage(tmp_path / "file", sums=SUMS, create=False)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_storage_full(number: int) -> None:
    with pytest.raises(StorageFull, match="save x: no space is left"), storage_errors("save x"):
        raise OSError(number, os.strerror(number))


async def test_a_truncated_zip_fails_instead_of_ending_early(storage: DiskStorage, root: Path, tmp_path: Path) -> None:
    module = SampleModule(files={"noise.bin": bytes(i * i % 251 for i in range(400_000))})
    await storage.save(module.fetched(tmp_path))

    async with await storage.open_zip(module.wanted) as stored:
        os.truncate(root / "example.com" / "m" / "v1.0.0" / "source.zip", 10)
        with pytest.raises(StorageError, match="ends at byte 10"):
            _ = [chunk async for chunk in stored.chunks()]


SAVER = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[3])
    from athens_proxy.checksums.dirhash import mod_hash1
    from athens_proxy.storage.disk import open_disk_storage
    from athens_proxy.storage.sums import Sums
    from athens_proxy.upstream.zipcheck import checked_zip_h1
    from support.modules_fixture import SampleModule, zip_bytes

    async def main() -> None:
        storage = open_disk_storage(Path(sys.argv[1]), sums=Sums(checked_zip_h1, mod_hash1), create=True)
        scratch = Path(sys.argv[2])
        for n in range(100_000):
            await storage.save(SampleModule(version=f"v1.{n}.0", files={"a": b"x" * 50_000}).fetched(scratch))
            print(f"v1.{n}.0", flush=True)

    asyncio.run(main())
    """
)


@pytest.mark.parametrize("after", [1, 2, 5, 9, 14])
def test_a_save_that_is_killed_leaves_whole_versions_only(root: Path, tmp_path: Path, after: int) -> None:
    """The kill comes while the next save runs: its moment within that save is up to the scheduler."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    argv = [sys.executable, "-c", SAVER, str(root), str(scratch), str(Path(__file__).parents[2])]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as saver:
        assert saver.stdout is not None
        saved = [saver.stdout.readline().strip() for _ in range(after)]
        saver.kill()

    versions = asyncio.run(_whole_versions(root))

    assert set(saved) <= set(versions)


async def _whole_versions(root: Path) -> list[str]:
    storage = open_disk_storage(root, sums=SUMS, create=False)
    versions = await storage.versions(M.wanted.path)
    for text in versions:
        module = SampleModule(version=text, files={"a": b"x" * 50_000})
        assert await storage.mod(module.wanted) == module.mod
        assert await storage.info(module.wanted) == module.info
        assert await stored_zip(storage, module.wanted) == module.zip
    return versions


def flip(path: Path, at: int) -> None:
    """Change one bit of a stored file, as a failing disk does: size and times stay."""
    times, data = path.stat(), bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("by_athens", [False, True], ids=["ours", "of Athens"])
async def test_a_zip_with_a_flipped_bit_is_never_served_kept_aside_and_fetched_again(
    storage: DiskStorage, root: Path, tmp_path: Path, by_athens: bool
) -> None:
    module = SampleModule(files={"noise.bin": bytes(i * i % 251 for i in range(100_000))})
    await storage.save(module.fetched(tmp_path))
    if by_athens:
        (root / ".athens/h1/example.com/m/@v/v1.0.0").unlink()
    assert await stored_zip(storage, module.wanted) == module.zip
    stored = root / "example.com/m/v1.0.0/source.zip"
    flip(stored, len(module.zip) // 2)
    damaged = stored.read_bytes()

    for reader in (storage, open_disk_storage(root, sums=SUMS, create=False)):
        with pytest.raises(ModuleNotFound, match=r"source.zip of example.com/m@v1.0.0|not stored"):
            await reader.open_zip(module.wanted)
    (aside,) = (root / ".athens/damaged/example.com/m/@v").iterdir()
    assert aside.read_bytes() == damaged
    await storage.save(module.fetched(tmp_path))

    assert await stored_zip(storage, module.wanted) == module.zip


async def test_a_damaged_go_mod_is_kept_aside_and_comes_back_only_under_its_sum(
    storage: DiskStorage, root: Path, tmp_path: Path
) -> None:
    await storage.save(M.fetched(tmp_path))
    flip(root / "example.com/m/v1.0.0/go.mod", 3)

    with pytest.raises(ModuleNotFound, match=r"go.mod of example.com/m@v1.0.0 was damaged"):
        await storage.mod(M.wanted)
    with pytest.raises(ChecksumMismatch):
        await storage.save(SampleModule(go_mod=b"module example.com/m\n\ngo 1.22\n").fetched(tmp_path))
    await storage.save(M.fetched(tmp_path))

    assert await storage.mod(M.wanted) == M.mod
    assert [path.name[-6:] for path in (root / ".athens/damaged/example.com/m/@v").iterdir()] == ["go.mod"]


async def test_many_readers_of_a_damaged_zip_set_it_aside_once(
    storage: DiskStorage, root: Path, tmp_path: Path
) -> None:
    await storage.save(M.fetched(tmp_path))
    flip(root / "example.com/m/v1.0.0/source.zip", 60)

    answers = await asyncio.gather(*(storage.open_zip(M.wanted) for _ in range(20)), return_exceptions=True)

    assert {type(answer) for answer in answers} == {ModuleNotFound}
    assert len(list((root / ".athens/damaged/example.com/m/@v").iterdir())) == 1


def forget_digest(root: Path) -> None:
    """Leave a record as it was before it had a third line."""
    record = root / ".athens/h1/example.com/m/@v/v1.0.0"
    record.write_text("".join(record.read_text().splitlines(keepends=True)[:2]))


@pytest.mark.parametrize("forgets", [False, True], ids=["by its digest", "by its sum"])
async def test_a_flipped_bit_is_noticed_by_a_process_that_did_not_save_the_zip(
    storage: DiskStorage, root: Path, tmp_path: Path, forgets: bool
) -> None:
    await storage.save(M.fetched(tmp_path))
    flip(root / "example.com/m/v1.0.0/source.zip", 60)
    if forgets:
        forget_digest(root)

    with pytest.raises(ModuleNotFound, match="was damaged"):
        await open_disk_storage(root, sums=SUMS, create=False).open_zip(M.wanted)


async def test_a_zip_is_read_whole_once_and_again_when_its_file_is_another(root: Path, tmp_path: Path) -> None:
    summed: list[Path] = []

    def of_zip(path: Path, wanted: ModuleVersion) -> str:
        summed.append(path)
        return checked_zip_h1(path, wanted)

    sums = Sums(of_zip, mod_hash1)
    saver = open_disk_storage(root, sums=sums, create=True)
    await saver.save(M.fetched(tmp_path))
    for _ in range(3):
        await stored_zip(saver, M.wanted)
    assert summed == []

    await stored_zip(open_disk_storage(root, sums=sums, create=False), M.wanted)
    assert summed == []  # the SHA-256 of the file says as much as its sum, and is had more quickly
    forget_digest(root)

    reader = open_disk_storage(root, sums=sums, create=False)
    for _ in range(3):
        await stored_zip(reader, M.wanted)
    assert len(summed) == 1
    os.utime(root / "example.com/m/v1.0.0/source.zip")
    await stored_zip(reader, M.wanted)
    assert len(summed) == 2


async def test_an_empty_info_is_no_commit_mark_and_the_version_is_completed(
    storage: DiskStorage, root: Path, tmp_path: Path
) -> None:
    """Athens writes in place: a machine that loses power leaves a name without content."""
    await storage.save(M.fetched(tmp_path))
    (root / "example.com/m/v1.0.0/v1.0.0.info").write_bytes(b"")
    for ask in (storage.info, storage.mod, storage.open_zip):
        with pytest.raises(ModuleNotFound):
            await ask(M.wanted)
    assert await storage.versions(M.wanted.path) == []
    assert (await storage.catalog(token="", limit=5)).entries == ()

    await storage.save(M.fetched(tmp_path))

    assert await storage.info(M.wanted) == M.info


@pytest.mark.parametrize("left", [b'{"Version":"v1.0.0","Ti', b"{", bytes(50)])
async def test_what_a_crash_left_of_an_info_is_kept_aside_and_the_version_completed(
    storage: DiskStorage, root: Path, tmp_path: Path, left: bytes
) -> None:
    """Athens writes in place; `go` would fail at such an answer for ever."""
    await storage.save(M.fetched(tmp_path))
    (root / "example.com/m/v1.0.0/v1.0.0.info").write_bytes(left)

    with pytest.raises(ModuleNotFound, match=r"v1.0.0.info of example.com/m@v1.0.0 was damaged"):
        await storage.info(M.wanted)
    assert await storage.versions(M.wanted.path) == []
    await storage.save(M.fetched(tmp_path))

    assert await storage.info(M.wanted) == M.info
    (aside,) = (root / ".athens/damaged/example.com/m/@v").glob("*")
    assert (aside.read_bytes(), aside.suffix) == (left, ".json")


@pytest.mark.parametrize("left", [b"", bytes(20)])
async def test_a_blank_go_mod_whose_sum_nobody_knows_is_fetched_again(
    storage: DiskStorage, root: Path, tmp_path: Path, left: bytes
) -> None:
    """An empty go.mod is accepted by `go` and stays in its caches."""
    await storage.save(M.fetched(tmp_path))
    (root / ".athens/h1/example.com/m/@v/v1.0.0").unlink()
    (root / "example.com/m/v1.0.0/go.mod").write_bytes(left)

    with pytest.raises(ModuleNotFound, match=r"go.mod of example.com/m@v1.0.0 was damaged"):
        await storage.mod(M.wanted)
    await storage.save(M.fetched(tmp_path))

    assert await storage.mod(M.wanted) == M.mod


def settings(root: Path, network_mode: str) -> Config:
    def no_file(name: str) -> ConfigFile:
        raise FileNotFoundError(name)

    return load([], {"ATHENS_DISK_STORAGE_ROOT": str(root), "ATHENS_NETWORK_MODE": network_mode}, no_file)


async def test_a_store_that_cannot_be_written_is_served_offline_and_ends_every_other_start(
    storage: DiskStorage, root: Path, tmp_path: Path
) -> None:
    """A site without network mounts what it was brought, often read-only; as root, only a file in the way stops us."""
    await storage.save(M.fetched(tmp_path))
    shutil.rmtree(root / ".athens")
    (root / ".athens").write_bytes(b"")

    with pytest.raises(CannotStart, match=r"ATHENS_DISK_STORAGE_ROOT: open the disk storage .*"):
        await open_storage(settings(root, "strict"), {})
    opened = await open_storage(settings(root, "offline"), {})

    assert isinstance(opened, DiskStorage)
    await opened.check()
    assert await stored_zip(opened, M.wanted) == M.zip
    assert await opened.mod(M.wanted) == M.mod
    assert opened.scratch.is_dir()
    shutil.rmtree(root)
    with pytest.raises(StorageError, match="No such file or directory"):
        await opened.check()


async def test_a_store_that_somebody_emptied_is_filled_again(storage: DiskStorage, root: Path) -> None:
    """An empty cache is what whoever empties it wants, not a proxy that must be started again."""
    shutil.rmtree(root)
    os.mkdir(root)

    await storage.save(M.fetched(await scratch_folder(storage.scratch, FETCH)))

    assert await stored_zip(storage, M.wanted) == M.zip


async def test_a_root_that_vanished_is_nothing_to_be_made_anew(
    storage: DiskStorage, root: Path, tmp_path: Path
) -> None:
    shutil.rmtree(root)

    with pytest.raises(StorageError, match="No such file or directory"):
        await scratch_folder(storage.scratch, FETCH)
    with pytest.raises(StorageError, match="No such file or directory"):
        await storage.write_record("owner", b"me")
    with pytest.raises(StorageError, match="No such file or directory"):
        await storage.save(M.fetched(tmp_path))
    assert root.name not in os.listdir(root.parent)


def gone(root: Path) -> None:
    shutil.rmtree(root)


def replaced(root: Path) -> None:
    """As a mount point lies there once its disk is unmounted."""
    root.rename(root.with_name("unmounted"))
    (root / "lost+found").mkdir(parents=True)


@pytest.mark.parametrize("vanish", [gone, replaced])
async def test_an_offline_store_whose_disk_went_away_never_says_that_a_module_does_not_exist(
    storage: DiskStorage, root: Path, tmp_path: Path, vanish: Callable[[Path], None]
) -> None:
    await storage.save(M.fetched(tmp_path))
    offline = await open_storage(settings(root, "offline"), {})
    unknown = ModulePath.parse("example.com/unknown")
    assert await offline.versions(unknown) == []
    vanish(root)

    asked: list[Callable[[], Awaitable[object]]] = [
        lambda: offline.info(M.wanted),
        lambda: offline.mod(M.wanted),
        lambda: offline.open_zip(M.wanted),
        lambda: offline.versions(M.wanted.path),
        lambda: offline.versions(unknown),
        lambda: offline.catalog(token="", limit=10),
    ]
    for ask in asked:
        with pytest.raises(StorageError, match=f"the (folder|disk storage) {root}"):
            await ask()


async def test_a_store_is_served_again_once_its_disk_is_mounted_again(
    storage: DiskStorage, root: Path, tmp_path: Path
) -> None:
    await storage.save(M.fetched(tmp_path))
    offline = await open_storage(settings(root, "offline"), {})
    shutil.copytree(root, tmp_path / "copy")
    replaced(root)
    with pytest.raises(StorageError, match="an empty folder is in the place"):
        await offline.mod(M.wanted)
    shutil.rmtree(root)
    (tmp_path / "copy").rename(root)

    assert await offline.mod(M.wanted) == M.mod
    assert await offline.versions(ModulePath.parse("example.com/unknown")) == []


async def test_a_store_that_is_filled_from_upstream_says_that_its_folder_is_gone(
    storage: DiskStorage, root: Path
) -> None:
    gone(root)

    with pytest.raises(StorageError, match=f"the folder {root} of the disk storage is gone; mount or create it again"):
        await storage.info(M.wanted)


async def test_a_link_that_leads_in_a_circle_spoils_neither_lists_nor_the_catalogue(
    storage: DiskStorage, root: Path, tmp_path: Path
) -> None:
    await storage.save(M.fetched(tmp_path))
    host = M.wanted.path.text.split("/")[0]
    for link in (root / "circle.example", root / host / "circle", root / M.wanted.path.text / "circle"):
        os.symlink(link.name, link)

    page = await storage.catalog(token="", limit=10)

    assert [str(entry) for entry in page.entries] == [str(M.wanted)]
    assert await storage.versions(M.wanted.path) == [M.wanted.version]


async def test_the_catalogue_names_the_folder_that_it_cannot_read(
    storage: DiskStorage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkdir(root / "example.com")
    scandir = os.scandir

    def guarded(path: str) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        if path.endswith("example.com"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)

    with pytest.raises(StorageError, match=rf"read {root}/example.com: Permission denied"):
        await storage.catalog(token="", limit=10)


@pytest.mark.parametrize("name", ["lost+found", ".snapshot", ".Trash-0", ".athens"])
async def test_what_lies_beside_the_modules_is_not_looked_into(
    storage: DiskStorage, root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Every ext4 volume has a `lost+found` that only root may read; the catalogue must not fail of it."""
    os.makedirs(root / name, exist_ok=True)
    looked_into: list[str] = []
    scandir = os.scandir

    def noted(path: str) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        looked_into.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", noted)

    await storage.catalog(token="", limit=10)

    assert looked_into == [str(root)]


@pytest.mark.parametrize("place", ["go.mod", "source.zip", "v1.0.0.info"])
async def test_a_pipe_in_the_place_of_a_file_holds_nobody_up_and_the_version_is_completed(
    storage: DiskStorage, root: Path, tmp_path: Path, place: str
) -> None:
    await storage.save(M.fetched(tmp_path))
    file = version_dir(root, M.wanted) / place
    file.unlink()
    os.mkfifo(file)
    read = {"go.mod": storage.mod, "source.zip": storage.open_zip, "v1.0.0.info": storage.info}[place]

    with pytest.raises(ModuleNotFound):
        await asyncio.wait_for(asyncio.to_thread(asyncio.run, read(M.wanted)), 5)  # a thread, so that a hang is noticed

    await storage.save(M.fetched(tmp_path))
    assert await storage.info(M.wanted) == M.info
    assert await storage.mod(M.wanted) == M.mod
    assert await stored_zip(storage, M.wanted) == M.zip
