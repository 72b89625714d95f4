"""A running proxy within its bounds: what goes, what stays, what comes back, and what is told of it."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from athens_proxy.retention import ledger_record
from athens_proxy.storage import layout
from support.goproxy_server import GoProxyServer
from support.living_folder import files_below
from support.modules_fixture import SampleModule
from support.served_proxy import ServedProxy, serving

ZIP_BYTES = 40_000
ROOM_BYTES = ZIP_BYTES + 4_000  # for a version, and for what is left of some that were evicted
DEADLINE_S = 30.0


async def ask(proxy: ServedProxy, sample: SampleModule, extension: str = "zip") -> tuple[int, bytes]:
    answer = await proxy.ask(f"/{sample.wanted.path.escaped}/@v/{sample.version}.{extension}")
    return answer.status, answer.body


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await holds():  # each look asks the proxy
            pass


def stored_bytes(store: Path) -> int:
    sizes = []
    for path in files_below(store):
        if "tmp" not in path.relative_to(store).parts:
            with suppress(FileNotFoundError):  # records are replaced meanwhile
                sizes.append(path.stat().st_size)
    return sum(sizes)


def zips(store: Path) -> set[str]:
    return {path.parent.parent.name for path in files_below(store) if path.name == layout.ZIP_NAME}


async def fetch(proxy: ServedProxy, samples: Sequence[SampleModule]) -> None:
    for sample in samples:
        assert await ask(proxy, sample) == (200, sample.zip)


async def test_a_store_never_grows_beyond_its_bound_and_no_request_fails(
    upstream: GoProxyServer, modules: list[SampleModule], tmp_path: Path
) -> None:
    limit = 12 * ROOM_BYTES
    order = random.Random(7)
    async with serving(tmp_path, upstream.url, ATHENS_RETENTION_MAX_BYTES=limit) as proxy:
        for _ in range(8):
            chosen = order.choices(modules, k=16)
            answers = await asyncio.gather(*(ask(proxy, sample) for sample in chosen))
            assert answers == [(200, sample.zip) for sample in chosen]
            assert 0.5 * limit < stored_bytes(proxy.store) <= 1.05 * limit

        assert await proxy.metric("athens_store_bytes") <= limit
        assert await proxy.metric("athens_store_objects") == len(zips(proxy.store))
        assert await proxy.metric("athens_evictions_total") > 0


async def test_two_replicas_keep_one_store_within_its_bound(
    upstream: GoProxyServer, modules: list[SampleModule], tmp_path: Path
) -> None:
    limit = 12 * ROOM_BYTES
    order = random.Random(3)
    env = {"ATHENS_RETENTION_MAX_BYTES": limit}
    async with serving(tmp_path, upstream.url, **env) as one, serving(tmp_path, upstream.url, **env) as other:
        for proxy in [one, other] * 40:
            sample = order.choice(modules)
            assert await ask(proxy, sample) == (200, sample.zip)
            assert stored_bytes(one.store) <= 1.05 * limit + ROOM_BYTES  # what the other one saves right now

        assert stored_bytes(one.store) > 0.5 * limit
        assert abs(await one.metric("athens_store_bytes") - await other.metric("athens_store_bytes")) <= 2 * ROOM_BYTES


async def test_an_evicted_version_lists_and_answers_info_and_mod_without_upstream(
    upstream: GoProxyServer, modules: list[SampleModule], tmp_path: Path
) -> None:
    async with serving(tmp_path, upstream.url, ATHENS_RETENTION_MAX_BYTES=2 * ROOM_BYTES) as proxy:
        await fetch(proxy, modules[:4])
        assert zips(proxy.store) == {"m2", "m3"}
        asked = upstream.requests.total()

        assert await ask(proxy, modules[0], "info") == (200, modules[0].info)
        assert await ask(proxy, modules[0], "mod") == (200, modules[0].mod)
        assert upstream.requests.total() == asked

        catalog = {entry["module"] for entry in json.loads((await proxy.ask("/catalog")).body)["modules"]}
        assert catalog == {f"example.com/m{number}" for number in range(4)}
        assert await ask(proxy, modules[0]) == (200, modules[0].zip)


async def test_other_bytes_for_an_evicted_version_are_refused_with_both_sums(
    upstream: GoProxyServer, modules: list[SampleModule], tmp_path: Path
) -> None:
    evil = SampleModule(modules[0].path, files={"m.go": b"package evil\n"})
    async with serving(tmp_path, upstream.url, ATHENS_RETENTION_MAX_BYTES=2 * ROOM_BYTES) as proxy:
        await fetch(proxy, modules[:4])
        upstream.files["example.com/m0/@v/v1.0.0.zip"] = evil.zip

        past_memory = {"Range": "bytes=0-"}
        answer = await proxy.ask("/example.com/m0/@v/v1.0.0.zip", headers=past_memory)

    assert answer.status == 502
    assert answer.text.count("h1:") == 2


async def test_an_evicted_zip_is_waited_for_also_where_others_are_fetched_in_the_background(
    upstream: GoProxyServer, modules: list[SampleModule], tmp_path: Path
) -> None:
    env = {"ATHENS_RETENTION_MAX_BYTES": 2 * ROOM_BYTES}
    async with serving(tmp_path, upstream.url, **env) as proxy:
        await fetch(proxy, modules[:4])
    async with serving(tmp_path, upstream.url, **env, ATHENS_DOWNLOAD_MODE="async") as proxy:
        assert (await ask(proxy, modules[9]))[0] == 404
        assert await ask(proxy, modules[0]) == (200, modules[0].zip)


async def test_private_and_kept_modules_and_what_is_not_fetched_again_never_go(
    upstream: GoProxyServer, modules: list[SampleModule], tmp_path: Path
) -> None:
    download = tmp_path / "download.hcl"
    download.write_text('mode = "sync"\ndownloadURL = ""\n')
    env = {
        "ATHENS_RETENTION_MAX_BYTES": 7 * ROOM_BYTES,
        "ATHENS_RETENTION_KEEP": "example.com/m1",
        "ATHENS_GONOSUM_PATTERNS": "example.com/m2",
        "ATHENS_DOWNLOAD_MODE": f"file:{download}",
    }
    async with serving(tmp_path, upstream.url, **env) as proxy:
        await fetch(proxy, modules[:5])
    download.write_text('mode = "sync"\ndownloadURL = ""\ndownload "example.com/m3" {\n  mode = "none"\n}\n')
    async with serving(tmp_path, upstream.url, **env) as proxy:
        await fetch(proxy, modules[5:20])

        assert {"m1", "m2", "m3"} < zips(proxy.store)
        assert len(zips(proxy.store)) == 7


async def test_a_zip_larger_than_the_bound_is_refused_with_one_line(
    upstream: GoProxyServer, modules: list[SampleModule], tmp_path: Path
) -> None:
    async with serving(tmp_path, upstream.url, ATHENS_RETENTION_MAX_BYTES=ZIP_BYTES // 2) as proxy:
        status, body = await ask(proxy, modules[0])

    assert status == 503
    assert b"Retention.MaxBytes" in body
    assert body.count(b"\n") == 1


async def test_what_was_used_last_is_known_after_a_restart_also_what_was_answered_from_memory(
    upstream: GoProxyServer, modules: list[SampleModule], tmp_path: Path
) -> None:
    env = {"ATHENS_RETENTION_MAX_BYTES": 3 * ROOM_BYTES}
    async with serving(tmp_path, upstream.url, **env) as proxy:
        await fetch(proxy, [*modules[:3], modules[0]])
    async with serving(tmp_path, upstream.url, **env) as proxy:
        await until(lambda: _has_zips(proxy, 3))
        await fetch(proxy, modules[3:4])

        assert zips(proxy.store) == {"m0", "m2", "m3"}


async def test_what_was_stored_before_there_was_a_bound_is_counted_and_shrunk(
    upstream: GoProxyServer, modules: list[SampleModule], tmp_path: Path
) -> None:
    async with serving(tmp_path, upstream.url) as proxy:
        await fetch(proxy, modules[:8])
    async with serving(tmp_path, upstream.url, ATHENS_RETENTION_MAX_BYTES=4 * ROOM_BYTES) as proxy:
        await until(lambda: _has_zips(proxy, 4))

        assert len(zips(proxy.store)) == 4
        assert len(json.loads((await proxy.ask("/catalog")).body)["modules"]) == 8
        await fetch(proxy, modules[:8])


async def test_a_zip_that_athens_stored_gets_its_sum_on_record_before_it_goes(
    upstream: GoProxyServer, modules: list[SampleModule], tmp_path: Path
) -> None:
    async with serving(tmp_path, upstream.url) as proxy:
        await fetch(proxy, modules[:3])
    record = tmp_path / "store" / layout.RECORDS_DIR / layout.h1_record(modules[0].wanted)
    sums = record.read_text().splitlines()[:2]
    record.unlink()  # Athens keeps none

    async with serving(tmp_path, upstream.url, ATHENS_RETENTION_MAX_BYTES=2 * ROOM_BYTES) as proxy:
        await until(lambda: _has_zips(proxy, 2))

        assert "m0" not in zips(proxy.store)
        assert record.read_text().splitlines()[:2] == sums


async def test_a_dry_run_evicts_nothing_and_says_how_much_would_go(
    upstream: GoProxyServer, modules: list[SampleModule], tmp_path: Path
) -> None:
    async with serving(tmp_path, upstream.url) as proxy:
        await fetch(proxy, modules[:4])
    env = {"ATHENS_RETENTION_MAX_BYTES": 2 * ROOM_BYTES, "ATHENS_RETENTION_DRY_RUN": "true"}
    async with serving(tmp_path, upstream.url, **env) as proxy:
        await until(lambda: _is_above(proxy, "athens_retention_planned_bytes", 0))

        assert await proxy.metric("athens_retention_planned_bytes") > ZIP_BYTES
        assert len(zips(proxy.store)) == 4
        assert await proxy.metric("athens_evictions_total") == 0


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ({"ATHENS_NETWORK_MODE": "offline"}, "NetworkMode is offline"),
        ({"ATHENS_GO_BINARY_ENV_VARS": "GOPROXY=off"}, "GOPROXY is off"),
    ],
)
async def test_nothing_goes_that_could_not_be_fetched_again(
    upstream: GoProxyServer,
    modules: list[SampleModule],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    env: dict[str, str],
    why: str,
) -> None:
    async with serving(tmp_path, upstream.url) as proxy:
        await fetch(proxy, modules[:3])
    with caplog.at_level(logging.WARNING):
        async with serving(tmp_path, upstream.url, ATHENS_RETENTION_MAX_BYTES=1_000, **env) as proxy:
            await fetch(proxy, modules[:3])

    assert f"nothing is evicted, since {why}" in caplog.text


async def test_a_ledger_that_cannot_be_read_is_made_anew(
    upstream: GoProxyServer, modules: list[SampleModule], tmp_path: Path
) -> None:
    env = {"ATHENS_RETENTION_MAX_BYTES": 3 * ROOM_BYTES}
    async with serving(tmp_path, upstream.url, **env) as proxy:
        await fetch(proxy, modules[:3])
    record = tmp_path / "store" / layout.RECORDS_DIR / ledger_record.RECORD
    record.write_bytes(record.read_bytes()[:40])

    async with serving(tmp_path, upstream.url, **env) as proxy:
        await until(lambda: _has_zips(proxy, 3))
        await fetch(proxy, modules[3:6])

        assert len(zips(proxy.store)) == 3


async def _has_zips(proxy: ServedProxy, count: int) -> bool:
    return await proxy.metric("athens_store_objects") == count


async def _is_above(proxy: ServedProxy, name: str, value: float) -> bool:
    return await proxy.metric(name) > value
