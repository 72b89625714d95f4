"""The index as its readers see it: filled by downloads, caught up after an outage, shared with Athens."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support import athens
from support.goproxy_server import GoProxyServer
from support.index_databases import SQL_KINDS, index_env
from support.modules_fixture import SampleModule
from support.processes import ran
from support.proxy_process import ModuleProxy, Settings, environment, running
from support.sql_servers import SqlServer, server

MODULES = [SampleModule("example.com/m", f"v1.{number}.0") for number in range(6)]
DEADLINE_S = 30.0


@pytest.fixture(scope="module", params=SQL_KINDS)
def running_database(request: pytest.FixtureRequest) -> Iterator[SqlServer]:
    """A server of each kind."""
    with server(request.param) as database:
        yield database


@pytest.fixture
def database(running_database: SqlServer) -> SqlServer:
    """A database without a table."""
    running_database.run("DROP TABLE IF EXISTS indexes")
    return running_database


@pytest.fixture
async def upstream() -> AsyncIterator[GoProxyServer]:
    async with GoProxyServer(MODULES).running() as server:
        yield server


def feed(proxy: ModuleProxy, query: str = "") -> list[str]:
    """The versions in the feed."""
    answer = proxy.ask(f"/index{query}")
    assert answer.status == 200, answer.text
    return [json.loads(line)["Version"] for line in answer.text.splitlines()]


async def download(proxy: ModuleProxy, *modules: SampleModule) -> None:
    for module in modules:
        target = f"/{module.wanted.path.escaped}/@v/{module.version}.zip"
        answer = await asyncio.to_thread(proxy.ask, target)
        assert (answer.status, answer.body) == (200, module.zip), answer.text


async def until_fed(proxy: ModuleProxy, *modules: SampleModule) -> None:
    def is_complete() -> bool:
        answer = proxy.ask("/index")
        return answer.status == 200 and all(module.version in answer.text for module in modules)

    await asyncio.to_thread(proxy.process.wait_until, is_complete, what="caught up", deadline_s=DEADLINE_S)


async def test_what_is_downloaded_is_in_the_feed_at_once(
    database: SqlServer, upstream: GoProxyServer, tmp_path: Path
) -> None:
    with running(tmp_path, Settings(upstream.url, env=index_env(database))) as proxy:
        await download(proxy, *MODULES)
        await download(proxy, *MODULES)
        body = proxy.ask("/index?limit=2").text
        last = json.loads(body.splitlines()[-1])

        assert feed(proxy) == [module.version for module in MODULES]
        assert feed(proxy, f"?since={last['Timestamp']}") == [module.version for module in MODULES[1:]]

    assert list(last) == ["Path", "Version", "Timestamp"]
    assert last["Timestamp"].endswith("Z")


async def test_an_index_that_is_down_fails_no_download_and_is_caught_up(
    database: SqlServer, upstream: GoProxyServer, tmp_path: Path
) -> None:
    with running(tmp_path, Settings(upstream.url, env=index_env(database))) as proxy:
        await download(proxy, MODULES[0])
        with database.stopped():
            await download(proxy, *MODULES[1:4])
            failed = proxy.ask("/index")
            waiting = proxy.ask("/metrics").text
        await until_fed(proxy, *MODULES[:4])
        await download(proxy, *MODULES[4:])

        assert feed(proxy) == [module.version for module in MODULES]

    assert failed.status == 500
    assert "does not answer" in failed.text
    assert "athens_index_waiting 3.0" in waiting


async def test_lines_that_wait_outlive_a_killed_proxy(
    database: SqlServer, upstream: GoProxyServer, tmp_path: Path
) -> None:
    settings = Settings(upstream.url, env=index_env(database))
    record = tmp_path / "store" / ".athens" / "index" / "waiting"

    def is_kept() -> bool:
        return record.exists() and len(record.read_text().splitlines()) == 3

    with database.stopped(), running(tmp_path, settings) as proxy:
        await download(proxy, *MODULES[:3])
        proxy.process.wait_until(is_kept, what="keeping its lines", deadline_s=DEADLINE_S)
        proxy.process.child.kill()
        proxy.process.child.wait()

    with running(tmp_path, settings) as proxy:
        await until_fed(proxy, *MODULES[:3])
        proxy.process.wait_until(lambda: not record.read_text(), what="done with them", deadline_s=DEADLINE_S)


async def test_reindex_records_what_was_stored_before_there_was_an_index(
    database: SqlServer, upstream: GoProxyServer, tmp_path: Path
) -> None:
    with running(tmp_path, Settings(upstream.url)) as proxy:
        await download(proxy, *MODULES)
        assert feed(proxy) == []
    settings = Settings(upstream.url, env=index_env(database))

    first, second = reindexed(tmp_path, settings), reindexed(tmp_path, settings)

    assert (first["found"], first["recorded"]) == (6, 6)
    assert (second["found"], second["recorded"]) == (6, 0)
    with running(tmp_path, settings) as proxy:
        assert sorted(feed(proxy)) == [module.version for module in MODULES]


async def test_athens_and_this_proxy_fill_and_read_one_table(
    database: SqlServer, upstream: GoProxyServer, tmp_path: Path
) -> None:
    # MariaDB takes Athens' way to write a time in lax mode only
    lax = {"ATHENS_INDEX_MYSQL_PARAMS": "parseTime:true,timeout:30s,sql_mode:''"}
    settings = Settings(upstream.url, env={**index_env(database), **lax})
    with athens.running(tmp_path / "athens", settings) as theirs:
        await download(theirs, *MODULES[:2])
        with running(tmp_path / "ours", settings) as ours:
            await download(ours, *MODULES[2:4])

            assert sorted(feed(ours)) == sorted(feed(theirs)) == [module.version for module in MODULES[:4]]


def test_a_wrong_password_stops_the_start_and_names_the_next_step(database: SqlServer, tmp_path: Path) -> None:
    name = {"postgres": "POSTGRES", "mysql": "MYSQL"}[database.kind]
    env = {**index_env(database), f"ATHENS_INDEX_{name}_PASSWORD": "wrong"}

    done = command(tmp_path, Settings("off", env=env))

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "check host, user, password and database" in done.stderr
    assert "wrong" not in done.stderr


def reindexed(folder: Path, settings: Settings) -> dict[str, int]:
    done = command(folder, settings, "reindex")
    assert done.returncode == 0, done.stderr
    summary: dict[str, int] = json.loads(done.stdout)
    return summary


def command(folder: Path, settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "store").mkdir(exist_ok=True)
    env = environment(folder, settings, port=0, store=folder / "store")
    return ran([sys.executable, "-m", "athens_proxy", *arguments], env=env, cwd=folder)
