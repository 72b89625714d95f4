"""Which traces are recorded, what belongs to what, and what a failure says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from athens_proxy.errors import ModuleNotFound, RedirectTo, StorageError
from athens_proxy.tracing.context import TraceContext
from athens_proxy.tracing.spans import MAX_ATTRIBUTE_CHARS, FinishedSpan
from athens_proxy.tracing.tracer import Sampler, Tracer, current

CALLER = TraceContext(b"t" * 16, b"s" * 8, True, "a=1")
UNSAMPLED = TraceContext(b"t" * 16, b"s" * 8, False)
LOW, HIGH = b"\xff" * 8 + b"\x00" * 8, b"\x00" * 8 + b"\xff" * 8


@dataclass
class Recorded:
    """A tracer, and what it recorded."""

    fraction: float = 1.0
    always: bool = False
    is_full: bool = False
    spans: list[FinishedSpan] = field(default_factory=list)
    dropped: int = 0

    @property
    def tracer(self) -> Tracer:
        sampler = Sampler(self.fraction, always=self.always)
        return Tracer(sampler, emit=self.spans.append, is_full=lambda: self.is_full, on_dropped=self._drop)

    def _drop(self) -> None:
        self.dropped += 1

    def of(self, name: str) -> FinishedSpan:
        (span,) = [span for span in self.spans if span.name == name]
        return span


@pytest.mark.parametrize(
    ("fraction", "always", "trace_id", "parent", "is_recorded"),
    [
        (1.0, False, HIGH, None, True),
        (0.0, False, LOW, None, False),
        (0.5, False, LOW, None, True),
        (0.5, False, HIGH, None, False),
        (0.0, False, HIGH, CALLER, True),
        (1.0, False, LOW, UNSAMPLED, False),
        (0.0, True, HIGH, UNSAMPLED, True),
    ],
)
def test_traces_are_sampled_as_athens_does(
    fraction: float, always: bool, trace_id: bytes, parent: TraceContext | None, is_recorded: bool
) -> None:
    assert Sampler(fraction, always=always).samples(trace_id, parent) is is_recorded


async def test_spans_belong_to_what_they_began_in_also_in_new_tasks() -> None:
    recorded = Recorded()
    tracer = recorded.tracer

    async def inner() -> None:
        with tracer.span("inner"):
            pass

    with tracer.span("request", parent=CALLER):
        with tracer.span("layer"):
            await asyncio.create_task(inner())
        with tracer.span("sibling"):
            pass
    with tracer.span("another"):
        pass

    ids = {span.name: span.context.span_id for span in recorded.spans}
    parents = {span.name: span.parent_id for span in recorded.spans}
    assert parents == {
        "inner": ids["layer"], "layer": ids["request"], "sibling": ids["request"],
        "request": CALLER.span_id, "another": b"",
    }  # fmt: skip
    assert {span.context.trace_id for span in recorded.spans if span.name != "another"} == {CALLER.trace_id}
    assert recorded.of("another").context.trace_id != CALLER.trace_id
    assert recorded.of("inner").context.state == CALLER.state
    assert current() is None


def test_a_trace_that_is_not_recorded_still_has_ids_to_pass_on() -> None:
    recorded = Recorded()

    with recorded.tracer.span("request", parent=UNSAMPLED) as span, recorded.tracer.span("layer") as layer:
        assert (span.context.trace_id, span.context.is_sampled) == (UNSAMPLED.trace_id, False)
        assert layer.context.traceparent.endswith("-00")

    assert recorded.spans == []


@pytest.mark.parametrize(
    ("failure", "error", "outcome"),
    [
        (StorageError("the bucket is away"), "the bucket is away", None),
        (ValueError("holds who knows what"), "ValueError", None),
        (ModuleNotFound("not found"), "", "not found"),
        (RedirectTo("https://example.com/"), "", "redirect"),
        (asyncio.CancelledError(), "", "cancelled"),
    ],
)
def test_a_failure_is_told_and_passed_on(failure: BaseException, error: str, outcome: str | None) -> None:
    recorded = Recorded()

    with pytest.raises(type(failure)), recorded.tracer.span("work"):
        raise failure

    span = recorded.of("work")
    assert (span.error, dict(span.own).get("outcome")) == (error, outcome)


def test_no_span_is_made_while_there_is_no_room_for_it() -> None:
    recorded = Recorded(is_full=True)

    with recorded.tracer.span("work"):
        pass

    assert (recorded.spans, recorded.dropped) == ([], 1)


def test_attributes_are_bounded_and_empty_ones_left_out() -> None:
    recorded = Recorded()

    with recorded.tracer.span("work") as span:
        span.set(url__path="x" * 5000, empty="", zero=0)

    attributes = dict(recorded.of("work").own)
    assert attributes == {"url.path": f"{'x' * MAX_ATTRIBUTE_CHARS}…", "zero": 0}
