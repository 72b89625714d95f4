"""The work queue's promises, in virtual time."""

from __future__ import annotations

import asyncio

from athens_operator.queue import BACKOFF_LAST_S, WorkQueue
from support.virtual_time import in_virtual_time


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_burst_of_adds_becomes_one_run_after_it_is_quiet() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        for _ in range(3):
            queue.add("a")
            await asyncio.sleep(0.2)

        assert await queue.get() == "a"
        assert 0.64 < now() < 0.66  # the last add at 0.4 s, and a quarter of a second
        assert queue.depth == 1

    in_virtual_time(main())


def test_a_burst_without_end_is_served_every_second() -> None:
    async def main() -> list[float]:
        queue: WorkQueue[str] = WorkQueue()
        served: list[float] = []

        async def work() -> None:
            while True:
                key = await queue.get()
                served.append(now())
                queue.done(key)

        worker = asyncio.create_task(work())
        for _ in range(40):
            queue.add("a")
            await asyncio.sleep(0.1)
        await asyncio.sleep(2)
        worker.cancel()
        return served

    served = in_virtual_time(main())

    assert 3 <= len(served) <= 5
    assert served[0] <= 1.01


def test_adds_during_a_run_give_exactly_one_more_run_and_never_two_at_once() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        running = 0
        runs = 0

        async def work() -> None:
            nonlocal running, runs
            while True:
                key = await queue.get()
                running += 1
                runs += 1
                assert running == 1
                await asyncio.sleep(5)
                running -= 1
                queue.done(key)

        workers = [asyncio.create_task(work()) for _ in range(3)]
        queue.add("a")
        await asyncio.sleep(1)
        for _ in range(4):
            queue.add("a")
            await asyncio.sleep(1)
        await asyncio.sleep(60)

        assert runs == 2
        for worker in workers:
            worker.cancel()

    in_virtual_time(main())


def test_different_keys_run_side_by_side_in_the_order_they_were_added() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        for key in ("a", "b", "c"):
            queue.add(key)

        assert [await queue.get() for _ in range(3)] == ["a", "b", "c"]

    in_virtual_time(main())


def test_failures_back_off_from_a_fifth_of_a_second_to_five_minutes_and_a_success_resets_them() -> None:
    async def main() -> list[float]:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        delays: list[float] = []
        for _ in range(16):
            key = await queue.get()
            delays.append(queue.retry(key))
            queue.done(key)
        queue.forget("a")
        key = await queue.get()
        delays.append(queue.retry(key))
        return delays

    delays = in_virtual_time(main())

    assert 0.1 <= delays[0] <= 0.2
    assert all(delay <= BACKOFF_LAST_S for delay in delays)
    assert delays[15] >= BACKOFF_LAST_S / 2
    assert delays[16] <= 0.2


def test_news_do_not_wait_for_a_planned_run() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add_after("a", 600)
        await asyncio.sleep(1)
        queue.add("a")

        assert await queue.get() == "a"
        assert now() < 1.3
        queue.done("a")

    in_virtual_time(main())


def test_a_later_plan_does_not_replace_an_earlier_one() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add_after("a", 2)
        queue.add_after("a", 600)

        assert await queue.get() == "a"
        assert now() == 2

    in_virtual_time(main())


def test_the_age_of_the_oldest_key_counts_from_when_it_could_have_run() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add_after("a", 100)
        await asyncio.sleep(50)
        assert queue.oldest_s() == 0

        await asyncio.sleep(60)

        assert 9.9 < queue.oldest_s() < 10.1

    in_virtual_time(main())


def test_planned_runs_leave_no_timers_behind() -> None:
    """A key that is added again and again for days keeps one timer, not thousands."""

    async def main() -> int:
        queue: WorkQueue[str] = WorkQueue()
        for _ in range(1000):
            queue.add_after("a", 600)
            queue.add("a")
            queue.done(await queue.get())
        return len([timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()])  # type: ignore[attr-defined]

    assert in_virtual_time(main()) <= 1


def test_a_burst_over_many_keys_is_not_cut_into_by_its_own_runs() -> None:
    async def main() -> int:
        queue: WorkQueue[int] = WorkQueue()
        runs = 0

        async def work() -> None:
            nonlocal runs
            while True:
                key = await queue.get()
                runs += 1
                queue.done(key)

        worker = asyncio.create_task(work())
        for _ in range(20):  # edits that go on for two seconds
            for key in range(500):
                queue.add(key)
            await asyncio.sleep(0.1)
        await asyncio.sleep(1)
        worker.cancel()
        return runs

    assert in_virtual_time(main()) == 500


def test_long_looks_are_due_together_and_never_late() -> None:
    async def main() -> list[float]:
        queue: WorkQueue[str] = WorkQueue()
        await asyncio.sleep(3.5)
        for delay_s in (60, 61.3, 61.4, 61.6, 600):
            queue.look_again(f"in {delay_s}", delay_s)
        found = []
        for _ in range(5):
            queue.done(await queue.get())
            found.append(round(now(), 3))
        return found

    assert in_virtual_time(main()) == [60, 60, 60, 65, 600]


def test_a_look_that_somebody_waits_for_has_its_own_time() -> None:
    async def main() -> float:
        queue: WorkQueue[str] = WorkQueue()
        await asyncio.sleep(3.5)
        queue.look_again("a", 15)
        await queue.get()
        return round(now(), 3)

    assert in_virtual_time(main()) == 18.5
