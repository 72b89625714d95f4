"""Bundles are written from and taken into stores of every kind: what crosses is the same bytes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from athens_proxy.commands.addresses import settings_of
from support.commands import Site
from support.modules_fixture import SampleModule, write_file_proxy
from support.mongo_server import MongoServer
from support.object_servers import ACCESS_KEY, REGION, SECRET_KEY, ObjectServer
from support.object_stores import new_bucket
from support.proxy_process import Settings
from support.store_server import serving_store

MODULES = [
    SampleModule("example.com/m", "v1.0.0"),
    SampleModule("github.com/Azure/x", "v2.0.0+incompatible"),
    SampleModule("example.com/a/b_c", "v1.1.0-pre.1"),
]


def site(folder: Path, address: str, upstream: str) -> Site:
    env = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, **settings_of(address)}
    return Site(folder, Settings(upstream, env=env))


@pytest.mark.parametrize("kind", ["s3", "mongo", "external"])
async def test_a_bundle_of_one_store_fills_another_and_comes_out_of_it_unchanged(
    tmp_path: Path, versitygw_server: ObjectServer, mongo_server: MongoServer, kind: str
) -> None:
    tree = write_file_proxy(tmp_path / "tree", MODULES)
    names = [str(module.wanted) for module in MODULES]
    options = f"region={REGION}&endpoint={versitygw_server.url}&pathStyle=true"
    async with serving_store(tmp_path) as url:
        address = {
            "s3": f"s3://{new_bucket('s3', versitygw_server)}?{options}",
            "mongo": f"{mongo_server.url}{mongo_server.new_settings().database}",
            "external": f"external+{url}",
        }[kind]
        disk = Site(tmp_path / "disk", Settings(f"file://{tree}"))
        other = site(tmp_path / "other", address, "off")
        bundles = [tmp_path / f"{number}.tar.zst" for number in range(2)]

        (await asyncio.to_thread(disk.run, "export", *names, "-o", bundles[0])).ok()
        first = (await asyncio.to_thread(other.run, "import", bundles[0])).ok()
        again = (await asyncio.to_thread(other.run, "import", bundles[0])).ok()
        (await asyncio.to_thread(other.run, "export", *names, "-o", bundles[1])).ok()

    assert (first.document["imported"], again.document["present"]) == (3, 3)
    assert bundles[1].read_bytes() == bundles[0].read_bytes()
