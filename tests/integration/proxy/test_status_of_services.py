"""Services behind the proxy that fail, and limits of its own: what `go` prints, what is stored, what the log says."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from time import monotonic

import pytest
from aiohttp import web

from support.failed_fetch import downloaded, held
from support.go_client import GoClient
from support.goproxy_server import GoProxyServer, hang
from support.modules_fixture import SampleModule, write_file_proxy
from support.proxy_process import ModuleProxy, Settings, launched, running, running_beside

M = SampleModule()
NEW = SampleModule("example.com/new", "v1.0.0")
# Root reads whatever its capabilities let it read.
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
NOTHING_LISTENS = "127.0.0.1:9"
INTERNAL, UNAVAILABLE = "500 Internal Server Error", "503 Service Unavailable"
REMOUNT_S = 30.0
FILES = ("@v/v1.0.0.info", "@v/v1.0.0.mod", "@v/v1.0.0.zip")


@asynccontextmanager
async def beside(folder: Path, settings: Settings, *, before: Sequence[str]) -> AsyncIterator[ModuleProxy]:
    """Our proxy, started by another command."""
    context = launched("athens-proxy", [*before, sys.executable, "-m", "athens_proxy"], folder, settings)
    proxy = await asyncio.to_thread(context.__enter__)
    try:
        yield proxy
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


@pytest.fixture
def upstream(tmp_path: Path) -> str:
    """An upstream with both modules."""
    return write_file_proxy(tmp_path / "upstream", [M, NEW]).as_uri()


@pytest.fixture
def store_on_a_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder for a proxy whose store is a file system of its own."""
    store = tmp_path / "proxy" / "store"
    store.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", store], check=True)
    yield store.parent
    subprocess.run(["umount", store], check=True)


def remount(store: Path, how: str) -> None:
    """Make the store's file system read-only or writable, once no file is open for writing."""
    deadline = monotonic() + REMOUNT_S
    while (done := subprocess.run(["mount", "-o", f"remount,{how}", store], check=False)).returncode:
        assert monotonic() < deadline, done


async def refused(proxy: ModuleProxy, module: SampleModule, folder: Path, *, says: str) -> str:
    """What `go` prints as the server's response; it, the three files and the log keep the rules of a failure."""
    code, error = await downloaded(GoClient(folder, proxy.url), module)
    answers = [await asyncio.to_thread(proxy.ask, f"/{module.path}/{file}") for file in FILES]

    status_line, _, response = error.partition("server response:")
    assert code != 0
    assert says in status_line, error
    assert {(answer.status, answer.media_type) for answer in answers} == {(int(says[:3]), "text/plain")}
    assert all(answer.text[:-1].isprintable() and "(request " in answer.text for answer in answers)
    assert all(answer.headers["cache-control"] == "no-store" for answer in answers)
    assert "Traceback" not in proxy.process.logged()
    return " ".join(response.split())


async def test_a_disk_that_became_read_only_serves_what_it_has_and_says_why_it_takes_no_more(
    store_on_a_disk: Path, upstream: str, tmp_path: Path
) -> None:
    async with running_beside(store_on_a_disk, Settings(upstream)) as proxy:
        stored = await downloaded(GoClient(tmp_path / "first", proxy.url), M)
        await asyncio.to_thread(remount, proxy.store, "ro")

        response = await refused(proxy, NEW, tmp_path / "second", says=INTERNAL)
        again = await asyncio.to_thread(proxy.ask, f"/{M.path}/@v/v1.0.0.zip")

        await asyncio.to_thread(remount, proxy.store, "rw")
        left = await held(proxy.store, NEW)
        healed = await downloaded(GoClient(tmp_path / "third", proxy.url), NEW)

    assert stored == healed == (0, "")
    assert "Read-only file system" in response
    assert left == []
    assert (again.status, again.body) == (200, M.zip)


async def test_a_store_that_cannot_be_read_is_our_failure_and_no_reason_to_fetch_or_to_list_nothing(
    upstream: str, tmp_path: Path
) -> None:
    folder = tmp_path / "proxy" / "store" / "example.com" / "m"
    async with running_beside(tmp_path / "proxy", Settings(upstream)) as earlier:
        stored = await downloaded(GoClient(tmp_path / "first", earlier.url), M)
    async with beside(tmp_path / "proxy", Settings(upstream), before=WITHOUT_RIGHTS) as proxy:
        folder.chmod(0)  # before this process has served it, or it would answer from memory

        response = await refused(proxy, M, tmp_path / "second", says=INTERNAL)
        listed = await asyncio.to_thread(proxy.ask, f"/{M.path}/@v/list")

        folder.chmod(0o755)
        healed = await downloaded(GoClient(tmp_path / "third", proxy.url), M)

    assert stored == healed == (0, "")
    assert "read example.com/m@v1.0.0 from disk: Permission denied" in response
    assert (listed.status, listed.media_type) == (500, "text/plain")


async def test_an_external_store_that_is_down_is_named_and_the_proxy_is_not_ready(
    upstream: str, tmp_path: Path
) -> None:
    with ExitStack() as services:
        serving = Settings("off", env={"ATHENS_STORAGE_SERVE": "true"})
        service = services.enter_context(running(tmp_path / "service", serving))
        env = {"ATHENS_STORAGE_TYPE": "external", "ATHENS_EXTERNAL_STORAGE_URL": f"{service.url}/-/store"}
        async with running_beside(tmp_path / "proxy", Settings(upstream, env=env)) as proxy:
            stored = await downloaded(GoClient(tmp_path / "first", proxy.url), M)
            services.close()

            response = await refused(proxy, NEW, tmp_path / "second", says=INTERNAL)
            readiness = await asyncio.to_thread(proxy.ask, "/readyz")
            left = await held(service.store, NEW)

    assert stored == (0, "")
    assert "check that the service runs and Storage.External.URL" in response
    assert readiness.status == 503
    assert left == []


def at_nothing(index: str) -> dict[str, str]:
    """An index whose database does not answer."""
    host, _, port = NOTHING_LISTENS.partition(":")
    prefix = f"ATHENS_INDEX_{index.upper()}"
    return {"ATHENS_INDEX_TYPE": index, f"{prefix}_HOST": host, f"{prefix}_PORT": port}


@pytest.mark.parametrize(
    "env",
    [
        {"ATHENS_SINGLE_FLIGHT_TYPE": "redis", "ATHENS_REDIS_ENDPOINT": NOTHING_LISTENS, **at_nothing("postgres")},
        {"ATHENS_SINGLE_FLIGHT_TYPE": "etcd", "ATHENS_ETCD_ENDPOINTS": NOTHING_LISTENS, **at_nothing("mysql")},
    ],
    ids=["redis-and-postgres", "etcd-and-mysql"],
)
async def test_lock_and_index_that_are_down_keep_nobody_from_fetching_and_the_index_says_so(
    env: dict[str, str], upstream: str, tmp_path: Path
) -> None:
    async with running_beside(tmp_path / "proxy", Settings(upstream, env=env)) as proxy:
        fetched = [await downloaded(GoClient(tmp_path / "user", proxy.url), module) for module in (M, NEW)]
        index = await asyncio.to_thread(proxy.ask, "/index")
        metrics = (await asyncio.to_thread(proxy.ask, "/metrics")).text
        log = proxy.process.logged()

    assert fetched == [(0, "")] * 2
    assert (index.status, index.media_type) == (500, "text/plain")
    assert "does not answer" in index.text
    assert index.text[:-1].isprintable()
    assert 'athens_lock_total{result="unavailable"}' in metrics
    assert log.count("versions are fetched without a lock") == 2, "once at the start, once for the outage"
    assert "Traceback" not in log


async def test_more_fetches_than_may_wait_are_a_503_that_says_when_to_come_back(tmp_path: Path) -> None:
    arrived: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def never(server: GoProxyServer, request: web.Request, data: bytes) -> web.StreamResponse:
        arrived[request.path].set()
        return await hang(server, request, data)

    async with GoProxyServer([M, NEW]).running() as upstream:
        settings = Settings(upstream.url, env={"ATHENS_MAX_PENDING_FETCHES": "2", "ATHENS_SHUTDOWN_TIMEOUT": "1"})
        async with running_beside(tmp_path / "proxy", settings) as proxy:
            stored = await downloaded(GoClient(tmp_path / "first", proxy.url), M)
            upstream.faults["*"] = never
            targets = [f"/example.com/slow{number}/@v/{file}" for number in (0, 1) for file in ("v1.0.0.info", "list")]
            waiting = [asyncio.create_task(asyncio.to_thread(proxy.ask, target)) for target in targets]
            for target in targets:
                await asyncio.wait_for(arrived[target].wait(), 30)

            response = await refused(proxy, NEW, tmp_path / "second", says=UNAVAILABLE)
            refused_list = await asyncio.to_thread(proxy.ask, f"/{NEW.path}/@v/list")
            again = await asyncio.to_thread(proxy.ask, f"/{M.path}/@v/v1.0.0.zip")
            left = await held(proxy.store, NEW)
        await asyncio.gather(*waiting, return_exceptions=True)

    assert stored == (0, "")
    assert "ask again in some seconds" in response
    assert (refused_list.status, refused_list.headers["retry-after"]) == (503, "5")
    assert left == []
    assert (again.status, again.body) == (200, M.zip)
