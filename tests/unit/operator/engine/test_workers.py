"""What becomes of a pass that fails, in virtual time."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from athens_operator.cluster import Conflict, Invalid, NamespaceTerminating, Throttled
from athens_operator.metrics import Metrics
from athens_operator.queue import TOGETHER_S, WorkQueue
from athens_operator.resources import Key
from athens_operator.workers import PERMANENT_AGAIN_S, Workers
from support.virtual_time import in_virtual_time

KEY = Key("AthensProxy", "a", "go")


async def nobody(key: Key) -> None:
    """Reports no crash to anybody."""


async def runs_within(seconds: float, outcome: Exception | float | None) -> list[float]:
    """When passes began that all end in the same way."""
    queue: WorkQueue[Key] = WorkQueue()
    began: list[float] = []

    async def reconcile(key: Key) -> float | None:
        assert key == KEY
        began.append(asyncio.get_running_loop().time())
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    crew = asyncio.create_task(Workers(queue, {KEY.kind: reconcile}, Metrics(), nobody).run())
    queue.add(KEY)
    await asyncio.sleep(seconds)
    crew.cancel()
    with pytest.raises(asyncio.CancelledError):
        await crew
    return began


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(times)]


def test_a_pass_says_when_it_wants_to_run_again() -> None:
    assert gaps(in_virtual_time(runs_within(100, 30.0))) == [30, 30, 30]
    assert len(in_virtual_time(runs_within(10_000, None))) == 1


def test_looks_that_nobody_waits_for_are_due_together_and_waits_that_were_asked_for_are_kept() -> None:
    began = in_virtual_time(runs_within(1000, 97.0))
    asked_for = gaps(in_virtual_time(runs_within(1000, Throttled("x", 97.0))))

    assert [at % TOGETHER_S < 0.01 for at in began[1:]] == [True] * (len(began) - 1)
    assert all(92 <= gap <= 97.01 for gap in gaps(began))
    assert min(asked_for) >= 97


def test_a_conflict_is_tried_again_at_once_and_then_less_and_less_often() -> None:
    waits = gaps(in_virtual_time(runs_within(100, Conflict("x"))))

    assert waits[0] <= 0.21
    assert waits[-1] > 10 * waits[0]


def test_a_refusal_that_a_person_must_lift_is_not_hammered() -> None:
    assert gaps(in_virtual_time(runs_within(1000, Invalid("x")))) == [PERMANENT_AGAIN_S] * 3
    assert gaps(in_virtual_time(runs_within(1000, NamespaceTerminating("x")))) == [PERMANENT_AGAIN_S] * 3


def test_a_pause_that_the_server_asks_for_is_kept() -> None:
    assert gaps(in_virtual_time(runs_within(20, Throttled("x", 7.0)))) == [7, 7]


def test_an_unexpected_error_costs_nothing_but_that_pass() -> None:
    assert len(in_virtual_time(runs_within(10, ZeroDivisionError()))) > 3


def test_a_crash_is_reported_and_a_report_that_fails_costs_nothing_either() -> None:
    async def main() -> list[Key]:
        queue: WorkQueue[Key] = WorkQueue()
        told: list[Key] = []

        async def reconcile(key: Key) -> None:
            raise ZeroDivisionError

        async def report(key: Key) -> None:
            told.append(key)
            raise ZeroDivisionError

        crew = asyncio.create_task(Workers(queue, {KEY.kind: reconcile}, Metrics(), report).run())
        queue.add(KEY)
        await asyncio.sleep(10)
        crew.cancel()
        with pytest.raises(asyncio.CancelledError):
            await crew
        return told

    assert len(in_virtual_time(main())) > 3


def test_a_pass_that_has_begun_is_finished_at_the_end_but_not_waited_for_for_ever() -> None:
    async def main() -> tuple[list[str], float]:
        queue: WorkQueue[Key] = WorkQueue()
        ended: list[str] = []

        async def reconcile(key: Key) -> None:
            await asyncio.sleep(5 if key.name == "short" else 500)
            ended.append(key.name)

        workers = Workers(queue, {KEY.kind: reconcile}, Metrics(), nobody)
        crew = asyncio.create_task(workers.run())
        for name in ("short", "long"):
            queue.add(Key(KEY.kind, "a", name))
        await asyncio.sleep(1)
        crew.cancel()
        await workers.finish(10)
        return ended, asyncio.get_running_loop().time()

    ended, at = in_virtual_time(main())

    assert ended == ["short"]
    assert at < 12
