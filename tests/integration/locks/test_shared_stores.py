"""Two processes on one disk store with each lock type: every version is fetched once, and no request ever fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from pathlib import Path

import pytest

from support.goproxy_server import GoProxyServer, failing_first, hang
from support.lock_processes import KINDS, Service, start
from support.lock_services import BUCKETS
from support.ports import free_port
from support.processes import ProcessFailed
from support.proxy_process import ModuleProxy, Settings, running
from support.shared_store import CLIENTS, VERSIONS, VERSIONS_PER_CLIENT, ask_everything, modules

# A bucket's server keeps the modules, too; overloaded, it answers later than a proxy waits for a lock.
AT_ONCE = dict.fromkeys(BUCKETS, 12)
SERVICES = tuple(kind for kind in KINDS if kind not in BUCKETS)  # a bucket that is gone takes the store with it


@pytest.fixture
async def upstream() -> AsyncIterator[GoProxyServer]:
    async with GoProxyServer(modules()).running() as server:
        yield server


@contextmanager
def two_proxies(folder: Path, upstream: str, env: Mapping[str, str]) -> Iterator[list[ModuleProxy]]:
    store = folder / "shared-store"
    store.mkdir()
    env = {**env, "ATHENS_DISK_STORAGE_ROOT": str(store)}
    with ExitStack() as stack:
        yield [
            # Replicas do not hash alike: one has the seed of the fork server, the other one of its own.
            stack.enter_context(running(folder / f"proxy-{number}", Settings(upstream, env=env, own_image=number > 0)))
            for number in range(2)
        ]


@pytest.fixture(params=KINDS)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    """A lock service of its own for each test."""
    with ExitStack() as stack:
        yield start(request.param, tmp_path / "service", stack)


def locks_of(proxy: ModuleProxy) -> dict[str, float]:
    """The lock's counters by result."""
    lines = [line for line in proxy.ask("/metrics").text.splitlines() if line.startswith("athens_lock_total{")]
    return {line.split('"')[1]: float(line.split()[1]) for line in lines}


async def test_each_version_is_fetched_once(service: Service, upstream: GoProxyServer, tmp_path: Path) -> None:
    with two_proxies(tmp_path, upstream.url, service.env) as proxies:
        outcome = await ask_everything(proxies, upstream, modules(), at_once=AT_ONCE.get(service.kind, CLIENTS))
        locks = [locks_of(proxy) for proxy in proxies]

    print(f"{service.kind}: {outcome.elapsed_s:.1f} s, surplus {outcome.surplus}, locks {locks}")
    assert outcome.statuses == {200: CLIENTS * VERSIONS_PER_CLIENT}
    assert (len(outcome.fetches), outcome.surplus) == (VERSIONS, 0)
    assert not any("unavailable" in counts or "lost" in counts for counts in locks)


@pytest.mark.parametrize("service", SERVICES, indirect=True)
async def test_no_request_fails_when_the_lock_service_is_killed_half_way(
    service: Service, upstream: GoProxyServer, tmp_path: Path
) -> None:
    async def kill() -> None:
        for process in service.processes:
            process.child.kill()
            process.child.wait()

    with two_proxies(tmp_path, upstream.url, service.env) as proxies:
        outcome = await ask_everything(proxies, upstream, modules(), at_half=kill)
        locks = [locks_of(proxy) for proxy in proxies]
        warnings = [proxy.process.logged().count("fetched without a lock") for proxy in proxies]

    print(f"{service.kind}: {outcome.elapsed_s:.1f} s, surplus {outcome.surplus}, locks {locks}")
    assert outcome.statuses == {200: CLIENTS * VERSIONS_PER_CLIENT}
    assert len(outcome.fetches) == VERSIONS
    assert outcome.surplus <= VERSIONS / 2 + 10
    assert max(warnings) <= 1


async def test_a_version_that_a_killed_process_was_fetching_is_fetched_by_the_other(
    upstream: GoProxyServer, tmp_path: Path
) -> None:
    """Its lock lapses with its lease; nobody waits for Athens' fifteen minutes."""
    target = "example.com/m1/@v/v1.1.0.zip"
    upstream.faults[target] = failing_first(1, hang)
    with ExitStack() as stack:
        service = start("redis", tmp_path / "service", stack)
        env = {**service.env, "ATHENS_REDIS_LOCK_TTL": "2"}
        first, second = stack.enter_context(two_proxies(tmp_path, upstream.url, env))
        doomed = asyncio.create_task(asyncio.to_thread(first.ask, f"/{target}"))
        await upstream.hanging.wait()
        waiting = asyncio.create_task(asyncio.to_thread(second.ask, f"/{target}"))
        first.process.child.kill()
        with pytest.raises((OSError, HTTPException)):
            await doomed

        assert (await waiting).status == 200

    assert upstream.requests[target] == 2


async def test_a_refused_password_stops_the_start_and_names_the_next_step(tmp_path: Path) -> None:
    with ExitStack() as stack:
        service = start("redis", tmp_path / "service", stack)
        env = {**service.env, "ATHENS_REDIS_PASSWORD": "wrong"}
        with pytest.raises(ProcessFailed, match="ended with 1") as failed:
            stack.enter_context(running(tmp_path / "proxy", Settings("off", env=env)))

    assert "ATHENS_SINGLE_FLIGHT_TYPE: redis 127.0.0.1:" in str(failed.value)
    assert "invalid username-password pair or user is disabled.; check user and password" in str(failed.value)


async def test_a_service_that_is_down_at_the_start_does_not_keep_the_proxy_from_serving(
    upstream: GoProxyServer, tmp_path: Path
) -> None:
    env = {"ATHENS_SINGLE_FLIGHT_TYPE": "etcd", "ATHENS_ETCD_ENDPOINTS": f"127.0.0.1:{free_port()}"}
    with running(tmp_path / "proxy", Settings(upstream.url, env=env)) as proxy:
        answer = await asyncio.to_thread(proxy.ask, "/example.com/m1/@v/v1.1.0.info")

        assert answer.status == 200
        assert locks_of(proxy) == {"unavailable": 1.0}
