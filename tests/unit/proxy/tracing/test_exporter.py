"""Spans on their way out: nobody waits, memory is bounded, and the log says once what is wrong."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from athens_proxy.tracing import exporter as exporting
from athens_proxy.tracing.context import TraceContext
from athens_proxy.tracing.exporter import Exporter, NotSent
from athens_proxy.tracing.kept_answers import KeptAnswers
from athens_proxy.tracing.spans import FinishedSpan, KeptAnswer, Kind
from athens_proxy.tracing.tracer import Sampler
from support.virtual_time import in_virtual_time

SPAN = FinishedSpan(TraceContext(b"t" * 16, b"s" * 8, True), b"", "work", Kind.INTERNAL, 0, 1, ())
SPAN_BYTES = 1000


@dataclass
class Collector:
    """A sender that fails as the test says."""

    failures: list[NotSent | ValueError] = field(default_factory=list)
    hangs: bool = False
    takes_s: float = 0.0
    taken: list[int] = field(default_factory=list)
    is_closed: bool = False
    address: str = "grpc://collector.example.com:4317"

    def encoded(self, span: FinishedSpan) -> bytes:
        return b"x" * SPAN_BYTES

    def encoded_kept(self, answers: Sequence[KeptAnswer]) -> list[bytes]:
        return [self.encoded(kept.finished) for kept in answers]

    async def send(self, spans: list[bytes]) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.failures:
            raise self.failures.pop(0)
        if self.takes_s:
            await asyncio.sleep(self.takes_s)
        self.taken.append(len(spans))

    async def close(self) -> None:
        self.is_closed = True


@dataclass
class Running:
    """An exporter at work."""

    collector: Collector
    told: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.exporter = Exporter(self.collector, on_spans=self._tell)
        self.task = asyncio.create_task(self.exporter.run())

    def _tell(self, result: str, count: int) -> None:
        self.told[result] += count

    async def after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.exporter.close()


def test_spans_leave_within_a_second_and_large_batches_at_once() -> None:
    async def main() -> None:
        running = Running(Collector())
        running.exporter.add(SPAN)
        await running.after(exporting.EVERY_S + 0.1)
        assert running.collector.taken == [1]

        many = exporting.MAX_BATCH_BYTES // SPAN_BYTES + 1
        for _ in range(many):
            running.exporter.add(SPAN)
        await running.after(0.1)

        assert running.collector.taken == [1, many]
        assert running.told == {"exported": many + 1}
        await running.close()

    in_virtual_time(main())


def test_what_comes_while_a_batch_is_sent_waits_for_company() -> None:
    async def main() -> None:
        running = Running(Collector(takes_s=0.05))
        many = exporting.MAX_BATCH_BYTES // SPAN_BYTES + 1
        for _ in range(many):
            running.exporter.add(SPAN)
        for _ in range(100):
            running.exporter.add(SPAN)
            await running.after(0.01)

        await running.after(exporting.EVERY_S)
        assert running.collector.taken[0] == many
        assert sum(running.collector.taken) == many + 100
        assert len(running.collector.taken) <= 3
        await running.close()

    in_virtual_time(main())


def test_a_collector_that_is_away_is_told_of_once_and_gets_everything_when_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        running = Running(Collector([NotSent("connection refused")] * 5))
        for _ in range(3):
            running.exporter.add(SPAN)
        await running.after(60)

        assert running.collector.taken == [3]
        assert running.told == {"exported": 3}
        await running.close()

    in_virtual_time(main())
    warned, answered = caplog.records
    assert (warned.levelname, answered.levelname) == ("WARNING", "INFO")
    assert "grpc://collector.example.com:4317: connection refused; requests are served" in warned.getMessage()


def test_what_a_collector_refuses_for_good_is_not_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        running = Running(Collector([NotSent("it answered 400", may_try_again=False)]))
        running.exporter.add(SPAN)
        await running.after(30)
        running.exporter.add(SPAN)
        await running.after(2)

        assert running.told == {"refused": 1, "exported": 1}
        await running.close()

    in_virtual_time(main())
    assert caplog.text.count("traces are not exported") == 1


def test_a_defect_of_a_client_library_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        running = Running(Collector([ValueError("who would have thought")]))
        running.exporter.add(SPAN)
        await running.after(30)

        assert running.told == {"exported": 1}
        await running.close()

    in_virtual_time(main())
    assert "ValueError: who would have thought" in caplog.text


def test_a_collector_that_hangs_costs_a_bounded_amount_of_memory_and_is_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        running = Running(Collector(hangs=True))
        for _ in range(30):
            while not running.exporter.is_full():
                running.exporter.add(SPAN)
            await running.after(60)

        assert running.collector.taken == []
        assert running.exporter.is_full()
        await running.close()

    in_virtual_time(main())
    assert caplog.text.count("traces are not exported") == 1
    assert "no answer within 10 s" in caplog.text


def test_what_waits_at_the_end_is_sent_unless_the_collector_is_away() -> None:
    async def main(collector: Collector, taken: list[int]) -> None:
        running = Running(collector)
        running.exporter.add(SPAN)
        if collector.failures:
            await running.after(20)
        before = asyncio.get_running_loop().time()

        await running.close()

        assert running.collector.taken == taken
        assert running.collector.is_closed
        assert asyncio.get_running_loop().time() - before <= exporting.FLUSH_S

    in_virtual_time(main(Collector(), [1]))
    in_virtual_time(main(Collector(hangs=True), []))
    in_virtual_time(main(Collector([NotSent("away")] * 100), []))


@pytest.mark.parametrize(
    ("fraction", "always", "recorded"), [(1.0, False, 50), (0.0, False, 0), (0.0, True, 50), (0.5, False, None)]
)
def test_answers_from_memory_are_sampled_as_others_are(fraction: float, always: bool, recorded: int | None) -> None:
    async def main() -> None:
        running = Running(Collector())
        record = KeptAnswers(Sampler(fraction, always=always), running.exporter)

        ids = [record("/x", "192.0.2.7", True, b"id", 0.001) for _ in range(50)]
        await running.close()

        sent = sum(running.collector.taken)
        assert sent == sum(bool(one) for one in ids) == len({*ids} - {""})
        assert sent in range(5, 46) if recorded is None else sent == recorded

    in_virtual_time(main())


def test_answers_from_memory_are_not_traced_while_there_is_no_room() -> None:
    async def main() -> None:
        running = Running(Collector(hangs=True))
        record = KeptAnswers(Sampler(1.0, always=False), running.exporter)
        while not running.exporter.is_full():
            running.exporter.add(SPAN)

        assert record("/x", "", True, b"id", 0.001) == ""
        assert running.told == {"dropped": 1}
        await running.close()

    in_virtual_time(main())
