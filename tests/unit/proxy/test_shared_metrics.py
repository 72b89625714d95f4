"""The metrics of several processes as one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from athens_proxy import shared_metrics
from athens_proxy.errors import Overloaded
from athens_proxy.metrics import Metrics
from athens_proxy.shared_metrics import SharedMetrics, merged


def text(*, hits: int, waiting: int, owners: int, digest: str) -> str:
    metrics = Metrics()
    for _ in range(hits):
        metrics.hit("zip", 0.002)
    metrics.index_waiting(waiting)
    metrics.other_owners(owners)
    return metrics.render(policy_digest=digest)[0].decode()


def test_counts_are_added_and_of_what_all_see_the_greatest_is_told() -> None:
    lines = merged(
        [text(hits=2, waiting=3, owners=1, digest="a"), text(hits=5, waiting=4, owners=1, digest="b")]
    ).decode()

    for line in (
        'proxy_cache_lookup_total{cache_result="hit",cache_type="zip"} 7.0',
        'proxy_http_requests_total{method="GET",status="200"} 7.0',
        'proxy_http_request_duration_seconds_bucket{le="0.005",method="GET",status="200"} 7.0',
        'proxy_http_request_duration_seconds_count{method="GET",status="200"} 7.0',
        "athens_index_waiting 7.0",
        "athens_store_other_owners 1.0",
        'athens_policy_info{digest="a"} 1.0',
        'athens_policy_info{digest="b"} 1.0',
    ):
        assert line in lines.splitlines()


def test_text_of_one_process_stays_as_it_is() -> None:
    alone = text(hits=2, waiting=3, owners=1, digest="a")

    assert set(merged([alone]).decode().splitlines()) == set(alone.splitlines())


async def test_siblings_are_asked_and_those_that_are_gone_count_for_nothing(tmp_path: Path) -> None:
    ours, theirs = Metrics(), Metrics()
    for metrics in (ours, theirs, theirs):
        metrics.request("GET", 200, 0.1)
    other = SharedMetrics(lambda: theirs.render(policy_digest="a"), [])
    shared = SharedMetrics(lambda: ours.render(policy_digest="a"), [tmp_path / "1", tmp_path / "2"])
    counter = b'proxy_http_requests_total{method="GET",status="200"} '

    async with other.answering(tmp_path / "1"):
        assert counter + b"3.0" in (await shared.render())[0]
    assert counter + b"1.0" in (await shared.render())[0]


async def test_sibling_that_does_not_answer_fails_the_scrape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_metrics, "ANSWER_S", 0.05)
    asked = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(hang, tmp_path / "1")
    ours = Metrics()
    with pytest.raises(Overloaded, match="did not tell its metrics"):
        await SharedMetrics(lambda: ours.render(policy_digest="a"), [tmp_path / "1"]).render()
    assert asked.is_set()
    server.close()
    await server.wait_closed()
