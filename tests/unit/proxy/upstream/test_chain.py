"""The chain walks its hops as the go command walks GOPROXY."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from athens_policy.patterns import Pattern
from athens_proxy.errors import (
    ModuleNotFound,
    NotServed,
    ProxyError,
    UpstreamDenied,
    UpstreamError,
    UpstreamThrottled,
    UpstreamTimeout,
)
from athens_proxy.modules import ModulePath, ModuleVersion, RevInfo
from athens_proxy.storage.storage import FetchedModule
from athens_proxy.upstream.chain import UpstreamChain
from athens_proxy.upstream.fetcher import Show, show_nobody
from athens_proxy.upstream.hops import Hop
from athens_proxy.upstream.private import PrivateModules
from athens_proxy.upstream.transport import make_scratch
from support.modules_fixture import SampleModule

MODULE = SampleModule()
ORIGIN = "origin"


class ScriptedSource:
    """Answers with its name as the version, or fails; remembers what it was asked for."""

    def __init__(self, name: str, failure: ProxyError | None) -> None:
        self.name = name
        self.failure = failure
        self.asked: list[str] = []

    def _info(self, asked: str) -> RevInfo:
        self.asked.append(asked)
        if self.failure:
            raise self.failure
        return RevInfo(self.name)

    async def fetch(self, wanted: ModuleVersion, scratch: Path, *, show: Show = show_nobody) -> FetchedModule:
        make_scratch(scratch)
        (scratch / "half").write_bytes(b"written before a failure")
        self._info(str(wanted))
        return SampleModule(wanted.path.text, wanted.version).fetched(scratch)

    async def versions(self, path: ModulePath) -> list[str]:
        return [self._info(path.text).version]

    async def latest(self, path: ModulePath) -> RevInfo:
        return self._info(path.text)

    async def resolve(self, wanted: ModuleVersion) -> RevInfo:
        return self._info(str(wanted))


MakeChain = Callable[..., tuple[UpstreamChain, dict[str, ScriptedSource]]]


@pytest.fixture
def chain(tmp_path: Path) -> MakeChain:
    def make(
        text: str, *, private: str = "", **failures: ProxyError
    ) -> tuple[UpstreamChain, dict[str, ScriptedSource]]:
        sources = {name: ScriptedSource(name, failures.get(name)) for name in ("a", "b", "direct")}

        def source_of(hop: Hop) -> ScriptedSource:
            return sources[str(hop).removeprefix("https://").removesuffix(".example.com")]

        patterns = [Pattern.parse(glob) for glob in private.split(",") if glob]
        return UpstreamChain(
            text, private=PrivateModules(patterns), source_of=source_of, scratch_root=tmp_path
        ), sources

    return make


A_B = "a.example.com,b.example.com"
NOT_FOUND = ModuleNotFound("not found: here")


@pytest.mark.parametrize(
    ("text", "failures", "answered_by"),
    [
        ("a.example.com,direct", {}, "a"),
        ("a.example.com,direct", {"a": NOT_FOUND}, "direct"),
        ("a.example.com|direct", {"a": UpstreamError("5xx")}, "direct"),
        ("a.example.com|b.example.com", {"a": UpstreamDenied("403")}, "b"),
        ("a.example.com|b.example.com,direct", {"a": UpstreamTimeout("slow"), "b": NOT_FOUND}, "direct"),
    ],
)
async def test_the_next_hop_answers(
    chain: MakeChain, text: str, failures: dict[str, ProxyError], answered_by: str
) -> None:
    upstream, _ = chain(text, **failures)

    assert (await upstream.latest(MODULE.wanted.path)).version == answered_by
    assert await upstream.versions(MODULE.wanted.path) == [answered_by]
    assert (await upstream.resolve(MODULE.wanted)).version == answered_by


@pytest.mark.parametrize(
    "error", [UpstreamDenied("403"), UpstreamError("5xx"), UpstreamThrottled("429"), UpstreamTimeout("slow")]
)
async def test_after_a_comma_only_not_found_falls_through(chain: MakeChain, error: ProxyError) -> None:
    upstream, sources = chain(A_B, a=error)

    with pytest.raises(type(error)):
        await upstream.latest(MODULE.wanted.path)
    assert not sources["b"].asked


@pytest.mark.parametrize(
    ("text", "failures", "reported"),
    [
        ("a.example.com|b.example.com", {"a": UpstreamError("5xx of a"), "b": NOT_FOUND}, "5xx of a"),
        ("a.example.com|b.example.com", {"a": NOT_FOUND, "b": UpstreamError("5xx of b")}, "5xx of b"),
        ("a.example.com|direct", {"a": UpstreamError("5xx of a"), "direct": NOT_FOUND}, "not found: here"),
        ("a.example.com,direct", {"a": NOT_FOUND, "direct": UpstreamError("git failed")}, "git failed"),
        ("a.example.com,off", {"a": NOT_FOUND}, "not found: here"),
        ("a.example.com|off", {"a": UpstreamError("5xx of a")}, "5xx of a"),
        ("off", {}, "disabled by GOPROXY=off"),
    ],
)
async def test_the_most_telling_failure_is_reported(
    chain: MakeChain, text: str, failures: dict[str, ProxyError], reported: str
) -> None:
    upstream, _ = chain(text, **failures)

    with pytest.raises(ProxyError, match=reported):
        await upstream.latest(MODULE.wanted.path)


@pytest.mark.parametrize("call_chain", ["", "b.example.com"])
async def test_a_private_name_leaves_for_no_proxy(chain: MakeChain, call_chain: str) -> None:
    upstream, sources = chain(A_B, private="example.com/secret,*.corp.example.com", direct=NOT_FOUND)

    for name in ("example.com/secret/x", "git.corp.example.com/y"):
        with pytest.raises(ModuleNotFound):
            await upstream.versions(ModulePath.parse(name), upstream=call_chain)

    assert not sources["a"].asked + sources["b"].asked
    assert sources["direct"].asked == ["example.com/secret/x", "git.corp.example.com/y"]


async def test_a_rules_own_chain_replaces_the_configured_one(chain: MakeChain) -> None:
    upstream, sources = chain("a.example.com")

    assert await upstream.versions(MODULE.wanted.path, upstream="b.example.com,direct") == ["b"]
    assert not sources["a"].asked


async def test_toolchains_are_never_asked_of_version_control(chain: MakeChain) -> None:
    upstream, sources = chain("a.example.com,direct", a=NOT_FOUND)

    with pytest.raises(ModuleNotFound, match="here"):
        await upstream.versions(ModulePath.parse("golang.org/toolchain"))
    assert not sources["direct"].asked


@pytest.mark.parametrize("path", ["github.com", "github.com/user", "bitbucket.org/user"])
async def test_a_path_that_no_repository_can_have_is_not_found_without_asking(chain: MakeChain, path: str) -> None:
    upstream, sources = chain("a.example.com,direct")

    with pytest.raises(ModuleNotFound):
        await upstream.versions(ModulePath.parse(path))
    assert not sources["a"].asked + sources["direct"].asked


async def test_off_serves_nothing(chain: MakeChain) -> None:
    upstream, _ = chain("off")

    with pytest.raises(NotServed):
        await upstream.versions(MODULE.wanted.path)


async def test_temporary_files_vanish_with_the_context(chain: MakeChain, tmp_path: Path) -> None:
    upstream, _ = chain("a.example.com,direct", a=NOT_FOUND)

    async with upstream.fetch(MODULE.wanted) as fetched:
        present = fetched.zip_path.read_bytes() == MODULE.zip

    assert present
    assert not os.listdir(tmp_path)


async def test_temporary_files_vanish_when_every_hop_fails(chain: MakeChain, tmp_path: Path) -> None:
    upstream, _ = chain(A_B, a=NOT_FOUND, b=NOT_FOUND)

    with pytest.raises(ModuleNotFound):
        async with upstream.fetch(MODULE.wanted):
            raise AssertionError("nothing was fetched")
    assert not os.listdir(tmp_path)
