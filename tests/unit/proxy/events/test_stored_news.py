"""What a stored version tells of others, and what a flood of refusals does not."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from athens_proxy.download.listing import newest
from athens_proxy.download.refusals import A_MINUTE, Refusals, TellingRefusals
from athens_proxy.errors import AccessDenied
from athens_proxy.events.stored import LONGEST_BYTES, StoredNews
from athens_proxy.modules import ModulePath, ModuleVersion
from support.modules_fixture import SampleModule
from support.proxy_parts import Proxy, SampleUpstream, download_file, policy
from support.virtual_time import in_virtual_time


def version(text: str, go_mod: str = "") -> SampleModule:
    return SampleModule("example.com/m", text, go_mod=f"{go_mod}\n".encode() if go_mod else b"")


class Told:
    """Events as `kind@version: detail`."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, kind: str, module: str, version: str, detail: str) -> None:
        self.lines.append(f"{kind} {version}: {detail}")


@pytest.fixture
def proxy(tmp_path: Path) -> Proxy:
    return Proxy(tmp_path / "store", SampleUpstream(tmp_path / "scratch"))


async def store(proxy: Proxy, scratch: Path, *modules: SampleModule) -> list[str]:
    """Store versions one after the other; returns what was told beside that they were stored."""
    told = Told()
    news = StoredNews(proxy.storage, told, newest=newest)
    for module in modules:
        fetched = module.fetched(scratch)
        await proxy.storage.save(fetched)
        news.saved(fetched)
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not asyncio.current_task()))
    return [line for line in told.lines if not line.startswith("stored")]


async def test_only_stored_versions_that_were_not_retracted_before_are_news(proxy: Proxy, tmp_path: Path) -> None:
    first = "module example.com/m\nretract v1.0.0 // bad"
    second = "module example.com/m\nretract (\n v1.0.0 // bad\n [v1.1.0, v1.5.0]\n v9.0.0\n)"

    told = await store(
        proxy,
        tmp_path,
        version("v1.0.0"),
        version("v1.1.0"),
        version("v1.6.0", first),
        version("v1.7.0", second),
        version("v1.8.0", second),
    )

    assert told == ["retracted v1.0.0: bad", "retracted v1.1.0: its author gives no reason"]


async def test_a_go_mod_of_unreasonable_length_is_not_read_for_what_it_takes_back(proxy: Proxy, tmp_path: Path) -> None:
    endless = "module example.com/m\nretract v1.0.0\n" + "// as generators write it\n" * (LONGEST_BYTES // 26)

    assert await store(proxy, tmp_path, version("v1.0.0"), version("v1.1.0", endless)) == []


async def test_only_the_newest_version_speaks_for_the_module(proxy: Proxy, tmp_path: Path) -> None:
    said = "// Deprecated: no\nmodule example.com/m\nretract v1.0.0"

    told = await store(proxy, tmp_path, version("v1.0.0"), version("v1.9.0"), version("v1.8.0", said))
    assert told == []
    assert await store(proxy, tmp_path, version("v2.0.0-rc.1", said)) == []
    assert await store(proxy, tmp_path, version("v1.9.1", said)) == [
        "deprecated : no",
        "retracted v1.0.0: its author gives no reason",
    ]


def test_refusals_are_told_once_a_minute_and_a_flood_is_cut_off() -> None:
    async def main() -> None:
        told = Told()
        refusals = Refusals(told, is_shown=lambda path: path.text != "example.com/private")
        wanted = ModuleVersion.parse(ModulePath.parse("example.com/m"), "v1.0.0")
        for _ in range(10):
            refusals.refused(wanted, "no")
        refusals.refused(ModulePath.parse("example.com/private"), "no")
        assert told.lines == ["refused v1.0.0: no"]
        await asyncio.sleep(61)
        refusals.refused(wanted, "no")
        assert len(told.lines) == 2

        for n in range(10_000):
            refusals.refused(ModulePath.parse(f"example.com/m{n}"), "no")
        assert len(told.lines) <= 2 + A_MINUTE
        await asyncio.sleep(30)
        refusals.refused(ModulePath.parse("example.com/late"), "no")
        left_out = re.fullmatch(r"refused : no \(and (\d+) more that were not told\)", told.lines[-1])
        assert left_out is not None
        assert 10_000 - A_MINUTE <= int(left_out[1]) <= 10_000

    in_virtual_time(main())


async def test_every_question_that_is_refused_is_told_and_still_refused(proxy: Proxy) -> None:
    told = Told()
    block = 'download "example.com/m" {\n  mode = "deny"\n  name = "no"\n}'
    proxy.policy = policy(download_file(block))
    path = ModulePath.parse("example.com/m")
    for n, ask in enumerate(("versions", "latest", "resolve", "info", "mod", "zip")):
        modules = TellingRefusals(proxy.modules(), Refusals(told, is_shown=lambda path: True))
        wanted = path if ask in ("versions", "latest") else ModuleVersion(path, "v1.0.0")
        with pytest.raises(AccessDenied):
            await getattr(modules, ask)(wanted)
        assert len(told.lines) == n + 1
