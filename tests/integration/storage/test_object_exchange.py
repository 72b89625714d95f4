"""One bucket or database, two proxies: each serves byte for byte what the other stored, with the same settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from support import athens, proxy_process
from support.exchange import Answer
from support.module_tree import ModuleTree
from support.mongo_server import MongoServer
from support.object_servers import SECRET_KEY, ObjectServer, make_s3_bucket, new_name
from support.proxy_process import ModuleProxy, Settings
from support.sample_modules import UNTAGGED_PSEUDO
from support.store_settings import minio_settings, mongo_settings, s3_settings

Run = Callable[[Path, Settings], AbstractContextManager[ModuleProxy]]
VERSIONS = (
    ("example.com/m", "v1.0.0"),
    ("example.com/m", "v1.2.0-pre.1"),
    ("example.com/m/v2", "v2.0.1"),
    ("github.com/!azure/x", "v1.0.0"),
    ("example.com/inc", "v2.0.0+incompatible"),
    ("gopkg.in/yaml.v2", "v2.4.0"),
    ("example.com/pseudo", UNTAGGED_PSEUDO),
)
FILES = tuple(f"/{path}/@v/{version}.{kind}" for path, version in VERSIONS for kind in ("info", "mod", "zip"))
LISTS = tuple(f"/{path}/@v/list" for path in dict.fromkeys(path for path, _ in VERSIONS))


@pytest.fixture(params=["s3", "minio", "mongo"])
def store(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """The settings of an empty store; Athens makes the bucket of MinIO and the database, as we do."""
    if request.param == "mongo":
        mongo: MongoServer = request.getfixturevalue("mongo_server")
        return mongo_settings(mongo.url, mongo.new_settings().database)
    if request.param == "minio":
        return minio_settings(request.getfixturevalue("minio_server"), new_name())
    server: ObjectServer = request.getfixturevalue("versitygw_server")
    return s3_settings(server, make_s3_bucket(server, new_name()))


def answers(proxy: ModuleProxy, targets: tuple[str, ...]) -> dict[str, Answer]:
    return {target: proxy.ask(target) for target in targets}


def catalogue(proxy: ModuleProxy, size: int) -> list[list[tuple[str, str]]]:
    """The pages of the catalogue."""
    pages, token = [], ""
    while True:
        page = json.loads(proxy.ask(f"/catalog?pagesize={size}&token={token}").body)
        pages.append([(entry["module"], entry["version"]) for entry in page["modules"] or []])
        token = page.get("next") or ""
        if not token:
            return pages


@pytest.mark.parametrize(
    ("fill", "serve"),
    [(athens.running, proxy_process.running), (proxy_process.running, athens.running)],
    ids=["athens fills", "we fill"],
)
def test_a_store_that_one_filled_is_served_by_the_other_byte_for_byte(
    tmp_path: Path, module_tree: ModuleTree, store: Mapping[str, str], fill: Run, serve: Run
) -> None:
    with fill(tmp_path / "fill", Settings(module_tree.url, env=store)) as proxy:
        filled = answers(proxy, FILES)
        assert {answer.status for answer in filled.values()} == {200}, filled

    offline = {**store, "ATHENS_NETWORK_MODE": "offline"}
    with serve(tmp_path / "serve", Settings("off", env=offline)) as proxy:
        served = answers(proxy, FILES)
        listed = answers(proxy, LISTS)

    assert {target: (a.status, a.body) for target, a in served.items()} == {
        target: (200, a.body) for target, a in filled.items()
    }
    assert listed["/example.com/m/@v/list"].text.split() == ["v1.0.0", "v1.2.0-pre.1"]
    assert listed["/example.com/inc/@v/list"].text.split() == ["v2.0.0+incompatible"]


def test_the_catalogues_of_both_over_one_store_are_equal(
    tmp_path: Path, module_tree: ModuleTree, store: Mapping[str, str]
) -> None:
    settings = Settings(module_tree.url, env=store)
    with (
        proxy_process.running(tmp_path / "ours", settings) as ours,
        athens.running(tmp_path / "peer", settings) as peer,
    ):
        answers(ours, FILES)

        assert catalogue(ours, 100) == catalogue(peer, 100)
        pages = catalogue(ours, 2)

    assert [len(page) for page in pages] == [2, 2, 2, 1]
    assert sorted(f"{m}@{v}" for page in pages for m, v in page) == sorted(
        f"{path.replace('!a', 'A')}@{version}" for path, version in VERSIONS
    )


def test_a_start_without_the_bucket_ends_with_one_line_that_says_so(
    tmp_path: Path, versitygw_server: ObjectServer
) -> None:
    env = s3_settings(versitygw_server, "no-such-bucket")

    with pytest.raises(AssertionError) as ended, proxy_process.running(tmp_path, Settings("off", env=env)):
        pass

    said = str(ended.value)
    assert "ATHENS_S3_BUCKET_NAME: s3 bucket no-such-bucket: read .athens/probe: NoSuchBucket" in said
    assert "does not exist: create it" in said
    assert SECRET_KEY not in said
    assert "Traceback" not in said
