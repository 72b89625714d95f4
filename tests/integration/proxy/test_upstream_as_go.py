"""The chain walks upstreams as the real go command does: both get the same answers from the same upstreams."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from athens_proxy.errors import ModuleNotFound, ProxyError
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.upstream.chain import UpstreamChain
from athens_proxy.upstream.go_command import GoCommand, GoSettings
from athens_proxy.upstream.http import HttpLimits, open_upstream_session
from athens_proxy.upstream.private import PrivateModules
from athens_proxy.upstream.sources import Sources
from athens_proxy.upstream.vcs_cache import VcsCache
from support import goproxy_server as server
from support.git_origin import GitOrigin
from support.goproxy_server import Fault, GoProxyServer
from support.modules_fixture import SampleModule, write_file_proxy

MODULE = SampleModule(path="example.com/Upper", files={"a.go": b"package a\n", "d/b.txt": b"b\n" * 5000})
BASE = "example.com/!upper/@v/v1.0.0."


@pytest.fixture
async def upstream() -> AsyncIterator[GoProxyServer]:
    async with GoProxyServer([MODULE]).running() as running:
        yield running


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_upstream_session() as opened:
        yield opened


@pytest.fixture
def second(tmp_path: Path) -> str:
    return f"file://{write_file_proxy(tmp_path / 'second', [MODULE])}"


def chain_over(
    text: str, session: aiohttp.ClientSession, scratch_root: Path, variables: dict[str, str] | None = None
) -> UpstreamChain:
    scratch_root.mkdir(exist_ok=True)
    settings = GoSettings(
        binary="go",
        process_environment={"PATH": os.environ["PATH"]},
        variables={"GOSUMDB": "off", **(variables or {})},
        scratch_root=scratch_root,
    )
    limits = HttpLimits(idle_s=5, retry_delay_s=0.001)
    sources = Sources(session, direct=GoCommand(settings, VcsCache(scratch_root)), limits=limits)
    return UpstreamChain(text, private=PrivateModules(), source_of=sources.of, scratch_root=scratch_root)


async def go_download(goproxy: str, wanted: ModuleVersion, work: Path) -> dict[str, Any]:
    """What `go mod download -json` prints, with the given GOPROXY."""
    os.mkdir(work)
    process = await asyncio.create_subprocess_exec(
        *["go", "mod", "download", "-json", str(wanted)],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(work),
            "GOPATH": str(work / "gopath"),
            "GOFLAGS": "-modcacherw",
            "GOPROXY": goproxy,
            "GOSUMDB": "off",
            "GOTOOLCHAIN": "local",
        },
        cwd=work,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await process.communicate()
    assert stdout, stderr
    answer: dict[str, Any] = json.loads(stdout)
    return answer


async def test_our_sums_are_those_of_the_go_command(
    upstream: GoProxyServer, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    theirs = await go_download(upstream.url, MODULE.wanted, tmp_path / "go")
    async with chain_over(upstream.url, session, tmp_path / "scratch").fetch(MODULE.wanted) as fetched:
        ours = (fetched.zip_h1, fetched.mod_h1)

    assert ours == (theirs["Sum"], theirs["GoModSum"])


@pytest.mark.parametrize("separator", [",", "|"])
@pytest.mark.parametrize(
    ("extension", "fault"),
    [
        ("info", server.status(404)),
        ("info", server.status(410)),
        ("info", server.status(403)),
        ("mod", server.status(429)),
        ("zip", server.status(500)),
        ("info", server.body(b"<html>login</html>", content_type="text/html")),
        ("info", server.body(b'{"Version":"v1.0.1"}')),
        ("zip", server.truncate),
        ("zip", server.status(404)),
        ("info", server.redirect_loop),
    ],
)
async def test_the_same_faults_fall_through(
    upstream: GoProxyServer,
    second: str,
    session: aiohttp.ClientSession,
    tmp_path: Path,
    separator: str,
    extension: str,
    fault: Fault,
) -> None:
    upstream.faults[BASE + extension] = fault
    goproxy = f"{upstream.url}{separator}{second}"
    theirs = await go_download(goproxy, MODULE.wanted, tmp_path / "go")
    try:
        async with chain_over(goproxy, session, tmp_path / "scratch").fetch(MODULE.wanted) as fetched:
            served = fetched.zip_h1
    except ProxyError:
        served = None

    assert served == theirs.get("Sum")
    assert not os.listdir(tmp_path / "scratch")


async def test_a_zip_that_breaks_the_rules_stops_the_go_command_but_not_us(
    upstream: GoProxyServer, second: str, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The go command checks after it chose the proxy; we check before, so a `|` helps our clients."""
    upstream.faults[BASE + "zip"] = server.body(SampleModule(path="example.com/other").zip)
    goproxy = f"{upstream.url}|{second}"
    theirs = await go_download(goproxy, MODULE.wanted, tmp_path / "go")
    async with chain_over(goproxy, session, tmp_path / "scratch").fetch(MODULE.wanted) as fetched:
        served = fetched.zip_path.read_bytes()

    assert "unexpected file" in theirs["Error"]
    assert served == MODULE.zip


async def test_what_no_proxy_has_comes_from_its_repository(
    upstream: GoProxyServer, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    origin = GitOrigin(tmp_path / "origins", "direct")
    origin.commit({"go.mod": f"module {origin.path}\n", "m.go": "package m\n"}, tag="v0.1.0")
    path = ModulePath.parse(origin.path)
    chain = chain_over(f"{upstream.url},direct", session, tmp_path / "scratch", origin.settings())

    assert await chain.versions(path) == ["v0.1.0"]
    async with chain.fetch(ModuleVersion(path, "v0.1.0")) as fetched:
        assert fetched.mod == f"module {origin.path}\n".encode()
    with pytest.raises(ModuleNotFound):
        await chain.resolve(ModuleVersion(path, "v0.2.0"))
    assert upstream.requests[f"{origin.path}/@v/list"] == 1
