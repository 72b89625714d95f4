"""Athens and this proxy on one lock service: each waits for the other, so a migration fetches nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from http.client import HTTPException
from pathlib import Path

import pytest

from athens_proxy.stash.lock import HeldBy, Lease, LockUnavailable
from support import athens, redis_servers
from support.authority import Authority
from support.goproxy_server import GoProxyServer, hang
from support.lock_processes import Service, start
from support.lock_services import REDIS_PASSWORD, opened
from support.modules_fixture import SampleModule
from support.proxy_process import ModuleProxy, Settings

MODULE = SampleModule()
TARGET = "example.com/m/@v/v1.0.0.zip"
KEY = "example.com/m@v1.0.0"
LEASE_S = 10.0


@pytest.fixture
async def upstream() -> AsyncIterator[GoProxyServer]:
    async with GoProxyServer([MODULE]).running() as server:
        yield server


@pytest.fixture(params=["redis", "redis-cluster", "redis-sentinel", "etcd"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    with ExitStack() as stack:
        yield start(request.param, tmp_path / "service", stack)


@pytest.fixture
def theirs(service: Service, upstream: GoProxyServer, tmp_path: Path) -> Iterator[ModuleProxy]:
    """Athens with this lock."""
    env = {**service.env, "ATHENS_REDIS_LOCK_TTL": "20"}
    with athens.running(tmp_path / "athens", Settings(upstream.url, env=env)) as proxy:
        yield proxy


async def test_athens_waits_for_a_lock_of_ours(service: Service, theirs: ModuleProxy, upstream: GoProxyServer) -> None:
    async with opened(service.kind, service.endpoint, lease_s=LEASE_S) as locks:
        lease = await locks.acquire(KEY)
        assert isinstance(lease, Lease)
        asking = asyncio.create_task(asyncio.to_thread(theirs.ask, f"/{TARGET}"))
        done, _ = await asyncio.wait({asking}, timeout=2)
        assert not done
        assert upstream.requests[TARGET] == 0
        await locks.release(lease)

        assert (await asking).body == MODULE.zip


async def test_a_lock_of_athens_is_seen(service: Service, theirs: ModuleProxy, upstream: GoProxyServer) -> None:
    upstream.faults[TARGET] = hang
    asking = asyncio.create_task(asyncio.to_thread(theirs.ask, f"/{TARGET}"))
    await upstream.hanging.wait()
    async with opened(service.kind, service.endpoint, lease_s=LEASE_S) as locks:
        answer = await locks.acquire(KEY)

    assert isinstance(answer, HeldBy)
    theirs.process.child.kill()
    with pytest.raises((OSError, HTTPException)):
        await asking


async def test_a_redis_with_tls_is_asked_when_its_certificate_is_trusted(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"cert-file": authority.cert_file, "key-file": authority.key_file, "ca-cert-file": authority.ca_file}
    options = [part for name, path in files.items() for part in (f"--tls-{name}", str(path))]
    with redis_servers.redis_tls(
        tmp_path, *options, "--tls-auth-clients", "no", "--requirepass", REDIS_PASSWORD
    ) as server:
        async with opened("redis", f"rediss://{server.endpoint}", lease_s=LEASE_S) as untrusting:
            with pytest.raises(LockUnavailable, match="certificate"):
                await untrusting.check()
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
        async with opened("redis", f"rediss://{server.endpoint}", lease_s=LEASE_S) as locks:
            assert isinstance(await locks.acquire(KEY), Lease)
