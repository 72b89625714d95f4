"""What many clients and slow upstreams may not do to each other: one fetch per file, no cancelled fetch, quick hits."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from aiohttp import web

from athens_proxy.app import FETCHES
from support.exchange import Answer
from support.go_client import GoClient
from support.goproxy_server import GoProxyServer, hang
from support.modules_fixture import SampleModule
from support.proxy_process import ModuleProxy, Settings, running_beside

DEADLINE_S = 150.0
CLIENT_COUNT = 8
STALLED_COUNT = 50
MODULES = tuple(SampleModule(f"example.com/dep{number}", "v1.0.0") for number in range(12))


class Gate:
    """A fault that holds every answer back until it is opened; then it is the true answer."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self, server: GoProxyServer, request: web.Request, data: bytes) -> web.StreamResponse:
        self.reached.set()
        await self.opened.wait()
        return web.Response(body=data)


@pytest.fixture
async def upstream() -> AsyncIterator[GoProxyServer]:
    """A counting upstream with a dozen modules."""
    async with GoProxyServer(MODULES).running() as server:
        yield server


def proxy_over(upstream: GoProxyServer, folder: Path, **env: str) -> AbstractAsyncContextManager[ModuleProxy]:
    """Our proxy in front of the upstream that this event loop serves."""
    return running_beside(folder, Settings(upstream.url, env=env))


async def until(condition: Callable[[], bool], what: str) -> None:
    """Return once the condition holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:g} s: {what}"
        await asyncio.sleep(0.02)


def fetched_files(upstream: GoProxyServer) -> dict[str, int]:
    """How often each immutable file was read."""
    return {path: count for path, count in upstream.requests.items() if path.endswith((".info", ".mod", ".zip"))}


async def test_a_client_that_leaves_does_not_cancel_the_fetch(upstream: GoProxyServer, tmp_path: Path) -> None:
    gate = Gate()
    upstream.faults["example.com/dep0/@v/v1.0.0.zip"] = gate
    async with proxy_over(upstream, tmp_path) as proxy:
        host, _, port = proxy.address.removeprefix("http://").partition(":")
        client = socket.create_connection((host, int(port)))
        client.sendall(b"GET /example.com/dep0/@v/v1.0.0.zip HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.wait_for(gate.reached.wait(), DEADLINE_S)
        client.close()
        stored = proxy.store / "example.com/dep0/v1.0.0/v1.0.0.info"
        await asyncio.to_thread(proxy.ask, "/healthz")
        gate.opened.set()
        await until(stored.exists, "the version is stored")

        answer = await asyncio.to_thread(proxy.ask, "/example.com/dep0/@v/v1.0.0.zip")

    assert (answer.status, answer.body) == (200, MODULES[0].zip)
    assert set(fetched_files(upstream).values()) == {1}


async def test_a_path_that_cannot_be_a_module_is_not_asked_for_upstream(
    upstream: GoProxyServer, tmp_path: Path
) -> None:
    """`go get github.com/u/r` asks for `github.com` and `github.com/u` as well."""
    paths = ("github.com", "github.com/u", "foobar", "x.y/.git", "x.y/z/v1", "gopkg.in/yaml", "x...y/z", "x.y/com1")
    async with proxy_over(upstream, tmp_path) as proxy:
        for path in paths:
            for name in ("@v/list", "@latest", "@v/v1.0.0.info", "@v/main.info"):
                answer = await asyncio.to_thread(proxy.ask, f"/{path}/{name}")
                assert answer.status == 404

    assert upstream.requests == {}


async def test_clients_that_join_a_fetch_survive_the_one_that_started_it(
    upstream: GoProxyServer, tmp_path: Path
) -> None:
    gate = Gate()
    upstream.faults["example.com/dep0/@v/v1.0.0.zip"] = gate
    async with proxy_over(upstream, tmp_path) as proxy:
        host, _, port = proxy.address.removeprefix("http://").partition(":")
        leader = socket.create_connection((host, int(port)))
        leader.sendall(b"GET /example.com/dep0/@v/v1.0.0.mod HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.wait_for(gate.reached.wait(), DEADLINE_S)
        followers = [
            asyncio.create_task(asyncio.to_thread(proxy.ask, "/example.com/dep0/@v/v1.0.0.zip")) for _ in range(5)
        ]
        await asyncio.to_thread(proxy.ask, "/healthz")
        leader.close()
        gate.opened.set()

        answers: list[Answer] = await asyncio.gather(*followers)

    assert {(answer.status, answer.body) for answer in answers} == {(200, MODULES[0].zip)}
    assert set(fetched_files(upstream).values()) == {1}


async def test_eight_cold_go_mod_downloads_read_each_upstream_file_once(
    upstream: GoProxyServer, tmp_path: Path
) -> None:
    requires = "".join(f"require {module.path} {module.version}\n" for module in MODULES)
    async with proxy_over(upstream, tmp_path / "proxy") as proxy:
        clients = [GoClient(tmp_path / f"user-{number}", proxy.url) for number in range(CLIENT_COUNT)]
        for client in clients:
            (client.work / "go.mod").write_text(f"module example.com/client\n\ngo 1.21\n\n{requires}")

        runs = await asyncio.gather(*(asyncio.to_thread(client.run, "mod", "download", "-x") for client in clients))

    for run in runs:
        run.ok()
    counts = fetched_files(upstream)
    assert len(counts) == 3 * len(MODULES)
    assert {path: count for path, count in counts.items() if count != 1} == {}


async def test_fetches_one_after_the_other_share_their_connections(upstream: GoProxyServer, tmp_path: Path) -> None:
    seen: set[object] = set()

    async def noted(server: GoProxyServer, request: web.Request, data: bytes) -> web.StreamResponse:
        assert request.transport is not None
        seen.add(request.transport.get_extra_info("peername"))
        return web.Response(body=data)

    upstream.faults["*"] = noted
    async with proxy_over(upstream, tmp_path) as proxy:
        for module in MODULES:
            answer = await asyncio.to_thread(proxy.ask, f"/{module.path}/@v/{module.version}.zip")
            assert answer.status == 200

    assert upstream.requests.total() == 3 * len(MODULES)
    assert len(seen) <= 3, "the three files of a version come side by side"


@pytest.mark.parametrize(("mode", "status"), [("async", 404), ("async_redirect", 301)])
async def test_an_async_mode_fetches_what_it_does_not_serve_yet(
    mode: str, status: int, upstream: GoProxyServer, tmp_path: Path
) -> None:
    env = {"ATHENS_DOWNLOAD_MODE": mode, "ATHENS_DOWNLOAD_URL": "https://mirror.example.com"}
    async with proxy_over(upstream, tmp_path, **env) as proxy:
        first = [await asyncio.to_thread(proxy.ask, "/example.com/dep0/@v/v1.0.0.zip") for _ in range(3)]
        await until((proxy.store / "example.com/dep0/v1.0.0/v1.0.0.info").exists, "the version is stored")

        again = await asyncio.to_thread(proxy.ask, "/example.com/dep0/@v/v1.0.0.zip")

    assert first[0].status == status
    assert {answer.status for answer in first} <= {status, 200}
    assert (again.status, again.body) == (200, MODULES[0].zip)
    assert set(fetched_files(upstream).values()) == {1}


async def test_a_fetch_without_progress_ends_in_a_time_out_that_stores_nothing(
    upstream: GoProxyServer, tmp_path: Path
) -> None:
    upstream.faults["example.com/dep0/@v/v1.0.0.zip"] = hang
    async with proxy_over(upstream, tmp_path, ATHENS_STASH_TIMEOUT="1", ATHENS_TIMEOUT="1") as proxy:
        answer = await asyncio.to_thread(proxy.ask, "/example.com/dep0/@v/v1.0.0.zip")

        stored = list(proxy.store.glob("example.com/dep0/*/*"))

    assert (answer.status, answer.media_type) == (504, "text/plain")
    assert "no-store" in answer.headers["cache-control"]
    assert stored == []


async def test_cached_files_are_served_while_more_fetches_hang_than_may_run_at_once(
    upstream: GoProxyServer, tmp_path: Path
) -> None:
    """A cached read that waited for any of them would never be answered; how quick it is, `make bench` measures."""
    gate = Gate()
    async with proxy_over(upstream, tmp_path, ATHENS_SHUTDOWN_TIMEOUT="1") as proxy:
        cached = [f"/example.com/dep0/@v/{name}" for name in ("list", "v1.0.0.info", "v1.0.0.mod", "v1.0.0.zip")]
        first = [await asyncio.to_thread(proxy.ask, target) for target in cached]
        upstream.faults["*"] = gate
        host, _, port = proxy.address.removeprefix("http://").partition(":")
        waiting = [socket.create_connection((host, int(port))) for _ in range(FETCHES + 1)]
        for number, client in enumerate(waiting):
            request = f"GET /example.com/stalled{number}/@v/v1.0.0.zip HTTP/1.1\r\nHost: localhost\r\n\r\n"
            client.sendall(request.encode())
        await until(lambda: stalled_count(upstream) >= STALLED_COUNT, "the fetches hang")

        again = [await asyncio.to_thread(proxy.ask, target) for target in cached]

        gate.opened.set()
        for client in waiting:
            client.close()
    assert [answer.status for answer in first] == [200, 200, 200, 200]
    assert [(answer.status, answer.body) for answer in again] == [(200, answer.body) for answer in first]


def stalled_count(upstream: GoProxyServer) -> int:
    """How many upstream requests of stalled fetches are waiting."""
    return sum(count for path, count in upstream.requests.items() if "stalled" in path)
