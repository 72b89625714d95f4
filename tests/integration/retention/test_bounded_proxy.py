"""A running proxy within its bounds: what goes, what stays, what comes back, and what is told of it."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from athens_proxy.storage import layout
from support.goproxy_server import GoProxyServer
from support.modules_fixture import SampleModule
from support.proxy_process import ModuleProxy, Settings, running_beside

ZIP_BYTES = 40_000
DEADLINE_S = 30.0


def module(number: int, *, salt: int = 0) -> SampleModule:
    noise = random.Random(number * 1000 + salt).randbytes(ZIP_BYTES)
    return SampleModule(f"example.com/m{number}", files={"noise.bin": noise})


MODULES = [module(number) for number in range(40)]


@pytest.fixture
async def upstream() -> AsyncIterator[GoProxyServer]:
    async with GoProxyServer(MODULES).running() as server:
        yield server


def settings(upstream: GoProxyServer, **env: object) -> Settings:
    return Settings(upstream=upstream.url, env={name: str(value) for name, value in env.items()})


async def ask(proxy: ModuleProxy, sample: SampleModule, extension: str = "zip") -> tuple[int, bytes]:
    target = f"/{sample.wanted.path.escaped}/@v/{sample.version}.{extension}"
    answer = await asyncio.to_thread(proxy.ask, target)
    return answer.status, answer.body


async def until(proxy: ModuleProxy, holds: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(proxy.process.wait_until, holds, what=what, deadline_s=DEADLINE_S)


def stored_bytes(store: Path) -> int:
    return sum(path.stat().st_size for path in store.rglob("*") if path.is_file() and "tmp" not in path.parts)


def zips(store: Path) -> set[str]:
    return {path.parent.parent.name for path in store.rglob(layout.ZIP_NAME)}


def metric(proxy: ModuleProxy, name: str) -> float:
    lines = proxy.ask("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


async def fetched(proxy: ModuleProxy, samples: Sequence[SampleModule]) -> None:
    for sample in samples:
        assert await ask(proxy, sample) == (200, sample.zip)


async def test_a_store_never_grows_beyond_its_bound_and_no_request_fails(
    upstream: GoProxyServer, tmp_path: Path
) -> None:
    limit = 12 * (ZIP_BYTES + 1_000)
    async with running_beside(tmp_path, settings(upstream, ATHENS_RETENTION_MAX_BYTES=limit)) as proxy:
        order = random.Random(7)
        for _ in range(6):
            chosen = order.choices(MODULES, k=16)
            answers = await asyncio.gather(*(ask(proxy, sample) for sample in chosen))
            assert [(status, body) for status, body in answers] == [(200, sample.zip) for sample in chosen]
            assert stored_bytes(proxy.store) <= 1.05 * limit

        assert metric(proxy, "athens_store_bytes") <= limit
        assert metric(proxy, "athens_store_objects") == len(zips(proxy.store))
        assert metric(proxy, "athens_evictions_total") > 0


async def test_an_evicted_version_lists_and_answers_info_and_mod_without_upstream(
    upstream: GoProxyServer, tmp_path: Path
) -> None:
    async with running_beside(
        tmp_path, settings(upstream, ATHENS_RETENTION_MAX_BYTES=2 * (ZIP_BYTES + 1_000))
    ) as proxy:
        await fetched(proxy, MODULES[:4])
        assert zips(proxy.store) == {"m2", "m3"}
        asked = upstream.requests.total()

        assert await ask(proxy, MODULES[0], "info") == (200, MODULES[0].info)
        assert await ask(proxy, MODULES[0], "mod") == (200, MODULES[0].mod)
        assert upstream.requests.total() == asked

        catalog = {entry["module"] for entry in json.loads(proxy.ask("/catalog").body)["modules"]}
        assert catalog == {f"example.com/m{number}" for number in range(4)}
        assert await ask(proxy, MODULES[0]) == (200, MODULES[0].zip)


async def test_other_bytes_for_an_evicted_version_are_refused_with_both_sums(
    upstream: GoProxyServer, tmp_path: Path
) -> None:
    async with running_beside(
        tmp_path, settings(upstream, ATHENS_RETENTION_MAX_BYTES=2 * (ZIP_BYTES + 1_000))
    ) as proxy:
        await fetched(proxy, MODULES[:4])
        upstream.files["example.com/m0/@v/v1.0.0.zip"] = module(0, salt=1).zip

        status, body = await ask(proxy, MODULES[0])

    assert status == 502
    assert body.count(b"h1:") == 2


async def test_private_and_kept_modules_never_go(upstream: GoProxyServer, tmp_path: Path) -> None:
    env = {
        "ATHENS_RETENTION_MAX_BYTES": 6 * (ZIP_BYTES + 1_000),
        "ATHENS_RETENTION_KEEP": "example.com/m1",
        "ATHENS_GONOSUM_PATTERNS": "example.com/m2",
    }
    async with running_beside(tmp_path, settings(upstream, **env)) as proxy:
        await fetched(proxy, MODULES[:20])

        assert {"m1", "m2"} < zips(proxy.store)
        assert len(zips(proxy.store)) == 6


async def test_a_zip_larger_than_the_bound_is_refused_with_one_line(upstream: GoProxyServer, tmp_path: Path) -> None:
    async with running_beside(tmp_path, settings(upstream, ATHENS_RETENTION_MAX_BYTES=ZIP_BYTES // 2)) as proxy:
        status, body = await ask(proxy, MODULES[0])

    assert status == 503
    assert b"Retention.MaxBytes" in body
    assert body.count(b"\n") == 1


async def test_what_was_used_last_is_known_after_a_restart(upstream: GoProxyServer, tmp_path: Path) -> None:
    bounded = settings(upstream, ATHENS_RETENTION_MAX_BYTES=3 * (ZIP_BYTES + 1_000))
    async with running_beside(tmp_path, bounded) as proxy:
        await fetched(proxy, [*MODULES[:3], MODULES[0]])
    async with running_beside(tmp_path, bounded) as proxy:
        await until(proxy, lambda: metric(proxy, "athens_store_objects") == 3, "aware of what is stored")
        await fetched(proxy, MODULES[3:4])

        assert zips(proxy.store) == {"m0", "m2", "m3"}


async def test_what_was_stored_before_retention_was_set_is_counted_and_shrunk(
    upstream: GoProxyServer, tmp_path: Path
) -> None:
    async with running_beside(tmp_path, settings(upstream)) as proxy:
        await fetched(proxy, MODULES[:8])
    async with running_beside(
        tmp_path, settings(upstream, ATHENS_RETENTION_MAX_BYTES=4 * (ZIP_BYTES + 1_000))
    ) as proxy:
        await until(proxy, lambda: len(zips(proxy.store)) == 4, "within its bound")

        assert len(json.loads(proxy.ask("/catalog").body)["modules"]) == 8
        await fetched(proxy, MODULES[:8])


async def test_a_dry_run_evicts_nothing_and_says_how_much_would_go(upstream: GoProxyServer, tmp_path: Path) -> None:
    async with running_beside(tmp_path, settings(upstream)) as proxy:
        await fetched(proxy, MODULES[:4])
    env = {"ATHENS_RETENTION_MAX_BYTES": 2 * (ZIP_BYTES + 1_000), "ATHENS_RETENTION_DRY_RUN": "true"}
    async with running_beside(tmp_path, settings(upstream, **env)) as proxy:
        await until(proxy, lambda: metric(proxy, "athens_retention_planned_bytes") > 0, "telling what would go")

        assert metric(proxy, "athens_retention_planned_bytes") > ZIP_BYTES
        assert len(zips(proxy.store)) == 4
        assert metric(proxy, "athens_evictions_total") == 0


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ({"ATHENS_NETWORK_MODE": "offline"}, "NetworkMode is offline"),
        ({"ATHENS_GO_BINARY_ENV_VARS": "GOPROXY=off"}, "GOPROXY is off"),
    ],
)
async def test_nothing_goes_that_could_not_be_fetched_again(
    upstream: GoProxyServer, tmp_path: Path, env: dict[str, str], why: str
) -> None:
    async with running_beside(tmp_path, settings(upstream)) as proxy:
        await fetched(proxy, MODULES[:3])
    async with running_beside(tmp_path, settings(upstream, ATHENS_RETENTION_MAX_BYTES=1_000, **env)) as proxy:
        await fetched(proxy, MODULES[:3])
        log = (tmp_path / "athens-proxy.log").read_text()

    assert f"nothing is evicted, since {why}" in log
