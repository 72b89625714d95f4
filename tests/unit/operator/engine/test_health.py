"""What the probes are told, over real HTTP on loopback."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from athens_operator.health import LAG_LIMIT_S, Health, PortTaken, health_app, listen
from athens_operator.metrics import Metrics
from support.virtual_time import in_virtual_time


def health(*, age_s: float = 0.0, blind: list[str] | None = None) -> Health:
    return Health(queue_age_s=lambda: age_s, blind_kinds=lambda: blind or [], metrics=Metrics())


async def answers(state: Health) -> dict[str, tuple[int, str]]:
    app = health_app(state, Metrics(), lambda: None)
    async with TestClient(TestServer(app)) as client:
        found = {}
        for path in ("/healthz", "/readyz", "/metrics"):
            async with client.get(path) as answer:
                found[path] = (answer.status, await answer.text())
        return found


async def test_not_ready_until_every_kind_was_listed_and_alive_all_the_while() -> None:
    state = health()
    state.unlisted = {"pods", "athensproxies"}
    before = await answers(state)
    state.unlisted.clear()
    after = await answers(state)

    assert before["/readyz"] == (503, "not listed yet: athensproxies\nnot listed yet: pods\n")
    assert before["/healthz"] == (200, "ok\n")
    assert after["/readyz"] == (200, "ok\n")


async def test_a_stuck_queue_and_a_blind_watch_are_reasons_to_restart() -> None:
    assert (await answers(health(age_s=700)))["/healthz"] == (503, "a key waits or runs for 700 s\n")
    assert (await answers(health(blind=["Pod"])))["/healthz"] == (503, "the watch of Pod misses changes\n")


async def test_every_documented_metric_has_its_name() -> None:
    text = (await answers(health()))["/metrics"][1]

    for name in (
        "reconcile_total",
        "reconcile_seconds",
        "queue_depth",
        "queue_oldest_seconds",
        "proxies",
        "proxy_ready",
        "policy_propagation_seconds",
        "policy_lagging_pods",
        "policy_conflicts",
        "drift_corrections_total",
        "field_fights_total",
        "secret_rotations_total",
        "api_requests_total",
        "watch_last_event_seconds",
        "anti_entropy_found_total",
        "leader",
        "loop_lag_seconds",
    ):
        assert f"# TYPE athens_operator_{name} " in text


def test_an_event_loop_that_is_late_is_a_reason_to_restart() -> None:
    async def main() -> list[str]:
        state = health()
        ticking = asyncio.create_task(state.tick())
        await asyncio.sleep(9.5)
        assert state.ailments() == []
        ticking.cancel()
        await asyncio.sleep(LAG_LIMIT_S + 2.5)
        return state.ailments()

    assert in_virtual_time(main()) == ["the event loop is 7.0 s late"]


async def test_a_port_that_is_taken_is_told_with_the_setting_to_change() -> None:
    runner = web.AppRunner(health_app(health(), Metrics(), lambda: None))
    await runner.setup()
    try:
        port = await listen(runner, 0)

        with pytest.raises(PortTaken, match=f"port {port}: Address already in use; .* ATHENS_OPERATOR_HEALTH_PORT"):
            await listen(runner, port)
    finally:
        await runner.cleanup()
