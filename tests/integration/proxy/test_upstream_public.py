"""Against the public module proxy that `go env GOPROXY` names: real modules, real sums, the real checksum database."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from athens_proxy.checksums.note import SUM_GOLANG_ORG, VerifierKey
from athens_proxy.checksums.verifier import Verifier
from athens_proxy.errors import ChecksumMismatch
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.upstream.chain import UpstreamChain
from athens_proxy.upstream.go_command import GoCommand, GoSettings
from athens_proxy.upstream.hops import parse_chain
from athens_proxy.upstream.http import open_upstream_session
from athens_proxy.upstream.private import PrivateModules
from athens_proxy.upstream.sources import Sources
from athens_proxy.upstream.sumdb import ChecksumDatabases
from athens_proxy.upstream.vcs_cache import VcsCache
from athens_proxy.upstream.verified import DatabaseReader, Verified
from support.memory_records import MemoryRecords
from support.modules_fixture import SampleModule, write_file_proxy

DATABASE = "sum.golang.org"


@pytest.fixture(scope="session")
def public_chain() -> str:
    return subprocess.run(["go", "env", "GOPROXY"], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_upstream_session() as opened:
        yield opened


@pytest.fixture
def chain(public_chain: str, session: aiohttp.ClientSession, tmp_path: Path) -> UpstreamChain:
    settings = GoSettings(binary="go", process_environment={}, variables={}, scratch_root=tmp_path)
    direct = GoCommand(settings, VcsCache(tmp_path))
    return UpstreamChain(
        public_chain, private=PrivateModules(), source_of=Sources(session, direct=direct).of, scratch_root=tmp_path
    )


@pytest.fixture
def databases(public_chain: str, session: aiohttp.ClientSession, records: MemoryRecords) -> ChecksumDatabases:
    chain = parse_chain(public_chain)
    return ChecksumDatabases([f"https://{DATABASE}"], session=session, records=records, chain=chain)


@pytest.fixture
def records() -> MemoryRecords:
    return MemoryRecords()


@pytest.fixture
def verifier(databases: ChecksumDatabases, records: MemoryRecords) -> Verifier:
    database = databases.database(DATABASE)
    assert database is not None
    return Verifier(VerifierKey.parse(SUM_GOLANG_ORG), DatabaseReader(database, records))


def module(path: str, version: str) -> ModuleVersion:
    return ModuleVersion.parse(ModulePath.parse(path), version)


async def test_a_real_module_has_the_sums_of_every_go_sum(chain: UpstreamChain) -> None:
    async with chain.fetch(module("rsc.io/quote", "v1.5.2")) as fetched:
        sums = (fetched.zip_h1, fetched.mod_h1)

    assert sums == (
        "h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=",
        "h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=",
    )


async def test_real_versions_are_listed_in_order(chain: UpstreamChain) -> None:
    path = ModulePath.parse("golang.org/x/text")
    versions = await chain.versions(path)

    assert versions.index("v0.3.0") < versions.index("v0.9.0") < versions.index("v0.14.0")
    assert (await chain.latest(path)).version in versions


async def test_upper_case_incompatible_and_pseudo_versions_are_fetched(chain: UpstreamChain) -> None:
    for wanted in (
        module("github.com/BurntSushi/toml", "v1.3.2"),
        module("github.com/docker/distribution", "v2.8.3+incompatible"),
        module("gopkg.in/check.v1", "v0.0.0-20161208181325-20d25e280405"),
    ):
        async with chain.fetch(wanted) as fetched:
            assert fetched.wanted == wanted


async def test_the_public_database_vouches_for_what_it_should(
    chain: UpstreamChain, verifier: Verifier, records: MemoryRecords
) -> None:
    verified = Verified(chain, verifier, is_public=lambda version: True)
    for wanted in (module("rsc.io/quote", "v1.5.2"), module("golang.org/x/text", "v0.14.0")):
        async with verified.fetch(wanted) as fetched:
            assert fetched.wanted == wanted

    assert f"sumdb/{DATABASE}/newest" in records.by_name


async def test_changed_bytes_are_never_handed_over(
    verifier: Verifier, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    tampered = SampleModule("rsc.io/quote", "v1.5.2", {"quote.go": b"package quote // evil\n"})
    settings = GoSettings(binary="go", process_environment={}, variables={}, scratch_root=tmp_path)
    direct = GoCommand(settings, VcsCache(tmp_path))
    root = write_file_proxy(tmp_path / "proxy", [tampered])
    chain = UpstreamChain(
        f"file://{root}", private=PrivateModules(), source_of=Sources(session, direct=direct).of, scratch_root=tmp_path
    )
    verified = Verified(chain, verifier, is_public=lambda version: version.path.text.startswith("rsc.io/"))

    with pytest.raises(ChecksumMismatch, match="h1:w5fcysjrx7yqtD/aO"):
        async with verified.fetch(tampered.wanted):
            raise AssertionError("it was handed over")


async def test_a_private_module_is_handed_over_without_a_lookup(
    session: aiohttp.ClientSession, verifier: Verifier, records: MemoryRecords, tmp_path: Path
) -> None:
    sample = SampleModule()
    settings = GoSettings(binary="go", process_environment={}, variables={}, scratch_root=tmp_path)
    direct = GoCommand(settings, VcsCache(tmp_path))
    root = write_file_proxy(tmp_path / "proxy", [sample])
    chain = UpstreamChain(
        f"file://{root}", private=PrivateModules(), source_of=Sources(session, direct=direct).of, scratch_root=tmp_path
    )

    async with Verified(chain, verifier, is_public=lambda version: False).fetch(sample.wanted) as fetched:
        assert fetched.mod == sample.mod
    assert not records.by_name
