"""Verification between fetch and save: when the database is asked, about what, and what it can prevent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from athens_proxy.checksums.note import VerifierKey
from athens_proxy.checksums.tlog import TileAt
from athens_proxy.checksums.verifier import Verifier
from athens_proxy.errors import (
    BadUpstreamAnswer,
    ChecksumMismatch,
    ModuleNotFound,
    ProxyError,
    UpstreamError,
    UpstreamThrottled,
    UpstreamTimeout,
)
from athens_proxy.modules import ModuleVersion
from athens_proxy.storage.storage import FetchedModule
from athens_proxy.upstream.fetcher import Show, SmallFiles, show_nobody
from athens_proxy.upstream.http import open_upstream_session
from athens_proxy.upstream.sumdb import ChecksumDatabases
from athens_proxy.upstream.verified import DatabaseReader, Verified
from support import goproxy_server as server
from support.checksum_log import ChecksumLog, record
from support.goproxy_server import Fault, GoProxyServer
from support.memory_records import MemoryRecords
from support.modules_fixture import SampleModule
from support.stepped_fetcher import SteppedFetcher

M = SampleModule()
EVIL = "h1:" + "A" * 43 + "="
IsPublic = Callable[[ModuleVersion], bool]


def sums_of(sample: SampleModule, tmp_path: Path) -> tuple[str, str]:
    folder = tmp_path / "sums"
    folder.mkdir(exist_ok=True)
    fetched = sample.fetched(folder)
    return fetched.zip_h1, fetched.mod_h1


@pytest.fixture
def fetcher(tmp_path: Path) -> SteppedFetcher:
    return SteppedFetcher(M, tmp_path / "scratch")


@pytest.fixture
def log(tmp_path: Path) -> ChecksumLog:
    return ChecksumLog([record(M.path, M.version, *sums_of(M, tmp_path))])


def verified(fetcher: SteppedFetcher, log: ChecksumLog, is_public: IsPublic = lambda version: True) -> Verified:
    return Verified(fetcher, Verifier(VerifierKey.parse(log.key), log), is_public=is_public)


class Shown:
    """Remembers what was shown."""

    def __init__(self) -> None:
        self.files: list[SmallFiles] = []

    async def __call__(self, files: SmallFiles) -> None:
        self.files.append(files)


async def fetched(fetcher: Verified, wanted: ModuleVersion, shown: Shown | None = None) -> str:
    async with fetcher.fetch(wanted, show=shown or Shown()) as module:
        return str(module.wanted)


async def test_the_database_is_asked_and_the_small_files_are_shown_before_the_zip_has_come(
    fetcher: SteppedFetcher, log: ChecksumLog
) -> None:
    shown = Shown()
    fetch = asyncio.create_task(fetched(verified(fetcher, log), M.wanted, shown))
    await fetcher.shown.wait()

    assert f"lookup/{M.wanted}" in log.asked
    assert [(files.info, files.mod, files.is_vouched) for files in shown.files] == [(M.info, M.mod, True)]
    fetcher.zip_comes.set()
    assert await fetch == str(M.wanted)
    assert log.asked.count(f"lookup/{M.wanted}") == 1


@pytest.mark.parametrize("which", ["zip", "go.mod"])
async def test_a_mismatch_has_both_sums_and_is_not_handed_over(
    fetcher: SteppedFetcher, tmp_path: Path, which: str
) -> None:
    zip_h1, mod_h1 = sums_of(M, tmp_path)
    ours, line = (zip_h1, (EVIL, mod_h1)) if which == "zip" else (mod_h1, (zip_h1, EVIL))
    shown = Shown()
    fetcher.zip_comes.set()

    with pytest.raises(ChecksumMismatch) as caught:
        await fetched(verified(fetcher, ChecksumLog([record(M.path, M.version, *line)])), M.wanted, shown)

    assert ours in str(caught.value)
    assert EVIL in str(caught.value)
    assert bool(shown.files) == (which == "zip")


async def test_an_answer_without_our_line_is_a_failure(fetcher: SteppedFetcher, log: ChecksumLog) -> None:
    log.spoilt[f"lookup/{M.wanted}"] = ChecksumLog([record(M.path, "v1.0.1")]).answer(0)
    log.records = [record(M.path, "v1.0.1")]
    fetcher.zip_comes.set()

    with pytest.raises(BadUpstreamAnswer, match="without a sum for"):
        await fetched(verified(fetcher, log), M.wanted)


async def test_the_name_of_a_private_module_reaches_no_database(fetcher: SteppedFetcher, log: ChecksumLog) -> None:
    fetcher.zip_comes.set()

    assert await fetched(verified(fetcher, log, lambda version: False), M.wanted) == str(M.wanted)
    assert not log.asked


async def test_a_toolchain_is_verified_whatever_is_private(tmp_path: Path) -> None:
    toolchain = SampleModule("golang.org/toolchain", "v0.0.1-go1.22.3.linux-amd64")
    fetcher = SteppedFetcher(toolchain, tmp_path / "scratch")
    fetcher.zip_comes.set()
    log = ChecksumLog([record(toolchain.path, toolchain.version, EVIL)])

    with pytest.raises(ChecksumMismatch):
        await fetched(verified(fetcher, log, lambda version: False), toolchain.wanted)


async def test_a_query_is_verified_under_what_it_means(fetcher: SteppedFetcher, log: ChecksumLog) -> None:
    fetcher.zip_comes.set()

    await fetched(verified(fetcher, log), ModuleVersion(M.wanted.path, "main"))

    assert [path for path in log.asked if path.startswith("lookup/")] == [f"lookup/{M.wanted}"]


async def test_a_fetch_that_fails_waits_for_no_database(tmp_path: Path, log: ChecksumLog) -> None:
    class SilentLog(ChecksumLog):
        async def lookup(self, wanted: ModuleVersion, *, fresh: bool) -> bytes:
            await asyncio.Event().wait()
            return b""

    class FailingFetcher(SteppedFetcher):
        @asynccontextmanager
        async def fetch(
            self, wanted: ModuleVersion, *, upstream: str = "", show: Show = show_nobody
        ) -> AsyncIterator[FetchedModule]:
            if wanted.is_canonical:
                raise ModuleNotFound("not found: gone")
            yield M.fetched(tmp_path)

    failing = verified(FailingFetcher(M, tmp_path / "scratch"), SilentLog(log.records))

    with pytest.raises(ModuleNotFound, match="gone"):
        await asyncio.wait_for(fetched(failing, M.wanted), 10)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_upstream_session() as opened:
        yield opened


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (server.status(404), UpstreamError, "does not know it; if it is private, list it in NoSumPatterns"),
        (server.status(410), UpstreamError, "does not know it"),
        (server.status(500), UpstreamError, "or set SumDBs to an empty list"),
        (server.status(429, headers={"Retry-After": "9"}), UpstreamThrottled, "cannot be asked"),
        (server.hang, UpstreamTimeout, "cannot be asked"),
        (server.drop, UpstreamError, "cannot be asked"),
        (server.body(b"<html>"), UpstreamError, "cannot be asked"),
    ],
)
async def test_a_database_that_cannot_answer_is_named_with_the_next_step(
    session: aiohttp.ClientSession, fault: Fault, kind: type[ProxyError], said: str
) -> None:
    async with GoProxyServer().running() as database:
        database.faults["*"] = fault
        # Only silence is meant to run into the deadline; a busy machine must not.
        reader = reader_of(database.url, session, budget_s=0.3 if fault is server.hang else 30.0)

        with pytest.raises(kind) as caught:
            await reader.lookup(M.wanted, fresh=False)

    assert not isinstance(caught.value, ModuleNotFound)
    assert said in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
    assert str(caught.value).isprintable()


async def test_an_absent_tile_is_only_absence_where_a_larger_one_may_stand_for_it(
    session: aiohttp.ClientSession,
) -> None:
    async with GoProxyServer().running() as database:
        reader = reader_of(database.url, session)

        with pytest.raises(ModuleNotFound):
            await reader.tile(TileAt(0, 0, 3), fresh=False)
        with pytest.raises(UpstreamError, match="cannot be asked"):
            await reader.tile(TileAt(0, 0, 256), fresh=False)


def reader_of(url: str, session: aiohttp.ClientSession, *, budget_s: float = 30.0) -> DatabaseReader:
    records = MemoryRecords()
    databases = ChecksumDatabases([url], session=session, records=records, budget_s=budget_s)
    database = databases.database(databases.names[0])
    assert database is not None
    return DatabaseReader(database, records)
