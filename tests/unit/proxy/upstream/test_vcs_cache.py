"""Which runs share clones, and when clones go."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from athens_proxy.errors import ModuleNotFound, StorageError, UpstreamTimeout
from athens_proxy.modules import ModulePath
from athens_proxy.upstream.vcs_cache import VcsCache, open_vcs_cache


def path(text: str) -> ModulePath:
    return ModulePath.parse(text)


async def used(cache: VcsCache, module: str, *, size_bytes: int = 0) -> Path:
    async with cache.clones(path(module)) as folder:
        (folder / "pack").write_bytes(bytes(size_bytes))
    return folder


async def test_modules_of_one_repository_share_clones_and_others_do_not(tmp_path: Path) -> None:
    cache = VcsCache(tmp_path)
    first = await used(cache, "github.com/acme/one")

    assert await used(cache, "github.com/acme/one/sub/v2") == first
    assert await used(cache, "github.com/acme/two") != first
    assert first.is_dir()


async def test_the_least_recently_used_clones_go_when_room_is_short(tmp_path: Path) -> None:
    cache = VcsCache(tmp_path, max_bytes=250)
    one = await used(cache, "example.com/one", size_bytes=100)
    two = await used(cache, "example.com/two", size_bytes=100)
    await used(cache, "example.com/one", size_bytes=100)
    three = await used(cache, "example.com/three", size_bytes=100)

    assert [folder.exists() for folder in (one, two, three)] == [True, False, True]


async def test_clones_in_use_stay_whatever_their_size(tmp_path: Path) -> None:
    cache = VcsCache(tmp_path, max_bytes=10)
    async with cache.clones(path("example.com/one")) as one:
        await used(cache, "example.com/two", size_bytes=1000)
        await used(cache, "example.com/one", size_bytes=1000)
        assert one.is_dir()
    assert not one.exists()


async def test_after_a_failed_run_nobody_gets_its_clones_and_those_in_them_finish(tmp_path: Path) -> None:
    cache = VcsCache(tmp_path)
    async with cache.clones(path("example.com/one")) as spoilt:
        with pytest.raises(UpstreamTimeout):
            async with cache.clones(path("example.com/one")):
                raise UpstreamTimeout("killed")
        assert await used(cache, "example.com/one") != spoilt
        assert spoilt.is_dir()
    assert not spoilt.exists()


async def test_a_version_that_is_not_there_spoils_nothing(tmp_path: Path) -> None:
    cache = VcsCache(tmp_path)
    first = await used(cache, "example.com/one")
    with pytest.raises(ModuleNotFound):
        async with cache.clones(path("example.com/one")):
            raise ModuleNotFound("not found: v9.9.9")

    assert await used(cache, "example.com/one") == first


async def test_a_folder_that_cannot_be_made_is_our_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StorageError):
        await used(VcsCache(tmp_path / "file"), "example.com/one")


async def test_nothing_remains_of_a_closed_cache(tmp_path: Path) -> None:
    async with open_vcs_cache(tmp_path) as cache:
        await used(cache, "example.com/one", size_bytes=10)

    assert not os.listdir(tmp_path)


async def test_clones_that_were_tidied_away_are_made_anew(tmp_path: Path) -> None:
    async with open_vcs_cache(tmp_path) as cache:
        first = await used(cache, "example.com/one")
        shutil.rmtree(first.parent)

        second = await used(cache, "example.com/one")

        assert second.is_dir()
        assert second.parent.stat().st_mode & 0o777 == 0o700
