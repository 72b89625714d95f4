"""`athens-proxy copy` between real stores: complete, verified, repeatable, and honest about what it could not do."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from athens_proxy.download.first_seen import FirstSeen, record_name
from athens_proxy.storage.disk import DiskStorage, open_disk_storage
from support.living_folder import files_below
from support.modules_fixture import SampleModule
from support.mongo_server import MongoServer
from support.object_servers import ACCESS_KEY, REGION, SECRET_KEY, ObjectServer
from support.object_stores import SUMS, new_bucket, object_storage
from support.processes import inherited, ran
from support.store_server import serving_store

MODULES = [
    SampleModule("example.com/m", "v1.0.0"),
    SampleModule("example.com/m", "v1.1.0-pre.1"),
    SampleModule("github.com/Azure/x", "v2.0.0+incompatible"),
    SampleModule("example.com/a/b_c"),
    SampleModule("example.com/a_b/c"),
]


async def copy(
    folder: Path, source: str, target: str, *more: str, env: Mapping[str, str] | None = None
) -> tuple[int, dict[str, Any], str]:
    """Run the command; its exit status, its document and what it said on standard error."""
    done = await asyncio.to_thread(ran, words(source, target, *more), env=environment(folder, env), cwd=folder)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


async def started_copy(
    folder: Path, source: str, target: str, *more: str, env: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *words(source, target, *more),
        cwd=folder,
        env=environment(folder, env),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


def words(source: str, target: str, *more: str) -> list[str]:
    return [sys.executable, "-m", "athens_proxy", "copy", "--from", source, "--to", target, *more]


def environment(folder: Path, env: Mapping[str, str] | None) -> dict[str, str]:
    return {**inherited("PATH", "LANG"), "HOME": str(folder), **(env or {})}


def counts(document: dict[str, Any]) -> tuple[int, int, int]:
    return document["copied"], document["present"], document["failed"]


async def filled(root: Path, scratch: Path, *modules: SampleModule) -> DiskStorage:
    storage = open_disk_storage(root, sums=SUMS, create=True)
    for module in modules:
        await storage.save(module.fetched(scratch))
    return storage


def stored_files(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file() and ".athens" not in path.parts)
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


async def test_a_store_survives_a_journey_through_other_backends_and_a_second_run_copies_nothing(
    tmp_path: Path, scratch: Path, mongo_server: MongoServer
) -> None:
    await filled(tmp_path / "one", scratch, *MODULES)
    (tmp_path / "two").mkdir()
    database = f"{mongo_server.url}{mongo_server.new_settings().database}"
    async with serving_store(tmp_path) as url:
        journey = [f"disk://{tmp_path}/one", database, f"external+{url}", f"disk://{tmp_path}/two"]
        for source, target in pairwise(journey):
            code, document, error = await copy(tmp_path, source, target)
            assert (code, counts(document), error) == (0, (5, 0, 0), "")

            code, document, _ = await copy(tmp_path, source, target)
            assert (code, counts(document), document["bytes"]) == (0, (0, 5, 0), 0)

    assert stored_files(tmp_path / "two") == stored_files(tmp_path / "one")


async def test_a_bucket_of_one_service_becomes_a_bucket_of_another(
    tmp_path: Path, scratch: Path, versitygw_server: ObjectServer, gcs_server: ObjectServer
) -> None:
    buckets = {"s3": new_bucket("s3", versitygw_server), "gcs": new_bucket("gcs", gcs_server)}
    source = await object_storage("s3", versitygw_server.url, buckets["s3"])
    for module in MODULES:
        await source.save(module.fetched(scratch))
    await source.close()
    options = f"region={REGION}&endpoint={versitygw_server.url}&pathStyle=true"
    addresses = (f"s3://{buckets['s3']}?{options}", f"gs://{buckets['gcs']}/team-a")
    env = {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "STORAGE_EMULATOR_HOST": gcs_server.url,
    }

    runs = [await copy(tmp_path, *addresses, env=env) for _ in range(2)]

    assert [(code, counts(document), error) for code, document, error in runs] == [
        (0, (5, 0, 0), ""),
        (0, (0, 5, 0), ""),
    ]
    target = await object_storage("gcs", gcs_server.url, buckets["gcs"], prefix="team-a")
    for module in MODULES:
        async with await target.open_zip(module.wanted) as stored:
            files = [await target.info(module.wanted), await target.mod(module.wanted)]
            assert [*files, b"".join([c async for c in stored.chunks()])] == [module.info, module.mod, module.zip]
    await target.close()


async def test_a_copy_that_was_killed_is_continued_by_the_same_command(tmp_path: Path, scratch: Path) -> None:
    modules = [SampleModule(version=f"v1.{number}.0") for number in range(150)]
    await filled(tmp_path / "one", scratch, *modules)
    (tmp_path / "two").mkdir()
    addresses = (f"disk://{tmp_path}/one", f"disk://{tmp_path}/two")
    killed = await started_copy(tmp_path, *addresses, "--workers", "1")
    while sum(path.suffix == ".info" for path in files_below(tmp_path / "two")) < 10:
        assert killed.returncode is None
        await asyncio.sleep(0.002)
    killed.kill()
    await killed.communicate()

    code, document, error = await copy(tmp_path, *addresses)

    copied, present, failed = counts(document)
    assert (code, error, copied + present, failed) == (0, "", 150, 0)
    assert copied > 0
    assert present >= 9
    assert stored_files(tmp_path / "two") == stored_files(tmp_path / "one")


async def test_other_bytes_in_the_target_are_kept_and_reported(tmp_path: Path, scratch: Path) -> None:
    await filled(tmp_path / "one", scratch, *MODULES)
    other = SampleModule(files={"other.go": b"package m\n"})
    await filled(tmp_path / "two", scratch, other)
    before = stored_files(tmp_path / "two")

    code, document, _ = await copy(tmp_path, f"disk://{tmp_path}/one", f"disk://{tmp_path}/two")

    assert (code, counts(document)) == (1, (4, 0, 1))
    assert document["failures"][0]["version"] == "v1.0.0"
    assert "checksum mismatch" in document["failures"][0]["reason"]
    assert before.items() <= stored_files(tmp_path / "two").items()


async def test_a_damaged_zip_is_not_spread(tmp_path: Path, scratch: Path) -> None:
    await filled(tmp_path / "one", scratch, MODULES[0])
    (tmp_path / "two").mkdir()
    (tmp_path / "one/example.com/m/v1.0.0/source.zip").write_bytes(SampleModule(files={"x.go": b"package x\n"}).zip)

    code, document, _ = await copy(tmp_path, f"disk://{tmp_path}/one", f"disk://{tmp_path}/two")

    assert (code, counts(document)) == (1, (0, 0, 1))
    assert stored_files(tmp_path / "two") == {}


async def test_first_seen_times_move_along(tmp_path: Path, scratch: Path) -> None:
    source = await filled(tmp_path / "one", scratch, MODULES[0])
    (tmp_path / "two").mkdir()
    path = MODULES[0].wanted.path
    seen = await FirstSeen(source).of(path, ["v1.0.0"])

    await copy(tmp_path, f"disk://{tmp_path}/one", f"disk://{tmp_path}/two")

    target = open_disk_storage(tmp_path / "two", sums=SUMS, create=False)
    assert await FirstSeen(target).of(path, ["v1.0.0"]) == seen
    assert await target.read_record(record_name(path)) == await source.read_record(record_name(path))


async def test_only_listed_versions_are_copied(tmp_path: Path, scratch: Path) -> None:
    await filled(tmp_path / "one", scratch, *MODULES)
    (tmp_path / "two").mkdir()
    (tmp_path / "list").write_text("example.com/m@v1.0.0\n\nexample.com/none@v1.0.0\n")

    code, document, _ = await copy(
        tmp_path, f"disk://{tmp_path}/one", f"disk://{tmp_path}/two", "--modules", str(tmp_path / "list")
    )

    assert (code, counts(document)) == (1, (1, 0, 1))
    assert "is not stored" in document["failures"][0]["reason"]


@pytest.mark.parametrize(
    ("target", "code", "said"),
    [
        ("/srv/athens", 2, "no such kind of store"),
        ("disk:///nonexistent", 1, "disk:/nonexistent: open the disk storage /nonexistent: it is not an existing"),
        ("external+http://127.0.0.1:1/-/store", 1, "check that the service runs"),
    ],
)
async def test_a_store_that_cannot_be_opened_ends_the_command_with_one_line(
    tmp_path: Path, scratch: Path, target: str, code: int, said: str
) -> None:
    await filled(tmp_path / "one", scratch)

    status, document, error = await copy(tmp_path, f"disk://{tmp_path}/one", target)

    assert (status, document) == (code, {})
    assert said in error
    assert error.count("\n") == 1
