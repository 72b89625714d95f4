"""The bytes of spans, read back by the libraries that their receivers use."""

from __future__ import annotations

from typing import Any

from google.cloud.trace_v2.types import BatchWriteSpansRequest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from athens_proxy.tracing import cloud_trace, otlp
from athens_proxy.tracing.context import TraceContext
from athens_proxy.tracing.spans import Attribute, FinishedSpan, KeptAnswer, Kind

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
VALUES: st.SearchStrategy[Attribute] = (
    TEXTS | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.floats(allow_nan=False)
)
STATIC = st.lists(st.tuples(TEXTS, TEXTS | st.integers(2, (1 << 63) - 1)), max_size=5).map(tuple)
PAIRS = st.lists(st.tuples(TEXTS, VALUES), max_size=5).map(tuple)
CONTEXTS = st.builds(
    TraceContext,
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=8, max_size=8),
    st.just(True),
    st.sampled_from(["", "a=1"]),
)
SPANS = st.builds(
    FinishedSpan,
    CONTEXTS,
    parent_id=st.just(b"") | st.binary(min_size=8, max_size=8),
    name=TEXTS,
    kind=st.sampled_from(Kind),
    start_ns=st.integers(0, 1 << 62),
    end_ns=st.integers(0, 1 << 62),
    attributes=STATIC,
    own=PAIRS,
    error=TEXTS,
)


@given(st.lists(SPANS, min_size=1, max_size=4))
def test_a_collector_reads_what_was_meant(spans: list[FinishedSpan]) -> None:
    resource = otlp.resource_bytes([("service.name", "proxy")])
    request = ExportTraceServiceRequest.FromString(otlp.request_bytes(resource, map(otlp.span_bytes, spans)))

    (from_us,) = request.resource_spans
    (scope,) = from_us.scope_spans
    assert [(pair.key, pair.value.string_value) for pair in from_us.resource.attributes] == [("service.name", "proxy")]
    assert [otlp_span(span) for span in scope.spans] == [expected(span) for span in spans]


def otlp_span(span: Any) -> dict[str, Any]:
    return {
        "ids": (span.trace_id, span.span_id, span.parent_span_id),
        "state": span.trace_state,
        "name": span.name,
        "kind": span.kind,
        "times": (span.start_time_unix_nano, span.end_time_unix_nano),
        "attributes": [(pair.key, value_of(pair.value)) for pair in span.attributes],
        "status": (span.status.code, span.status.message),
        "flags": span.flags,
    }


def value_of(value: Any) -> tuple[str, Attribute]:
    kind = value.WhichOneof("value")
    return kind, getattr(value, kind)


KINDS = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value"}


def expected(span: FinishedSpan) -> dict[str, Any]:
    return {
        "ids": (span.context.trace_id, span.context.span_id, span.parent_id),
        "state": span.context.state,
        "name": span.name,
        "kind": int(span.kind),
        "times": (span.start_ns, span.end_ns),
        "attributes": [(name, (KINDS[type(value)], value)) for name, value in (*span.attributes, *span.own)],
        "status": (2, span.error) if span.error else (0, ""),
        "flags": 1,
    }


@given(SPANS)
def test_cloud_trace_reads_what_was_meant(span: FinishedSpan) -> None:
    data = cloud_trace.request_bytes("p-1", [cloud_trace.span_bytes(span)])
    request = BatchWriteSpansRequest.deserialize(data)

    (read,) = request.spans
    trace_id, span_id = span.context.trace_id.hex(), span.context.span_id.hex()
    assert request.name == "projects/p-1"
    assert (read.name, read.span_id) == (f"projects/p-1/traces/{trace_id}/spans/{span_id}", span_id)
    assert read.parent_span_id == span.parent_id.hex()
    assert len(read.display_name.value.encode()) <= 128
    assert span.name.startswith(read.display_name.value)
    assert len(read.display_name.value.encode()) + read.display_name.truncated_byte_count == len(span.name.encode())
    assert read.status.message == span.error
    assert bool(read.status.code) == bool(span.error)
    assert read.span_kind == span.kind


def test_cloud_trace_has_its_own_names_for_what_it_shows() -> None:
    context = TraceContext(b"t" * 16, b"s" * 8, True)
    own: tuple[tuple[str, Attribute], ...] = (("http.response.status_code", 404), ("url.path", "/x"), ("is", True))
    span = FinishedSpan(
        context, b"", "proxy", Kind.SERVER, 1_500_000_000_250_000_000, 1_500_000_001_000_000_000, (), own
    )

    request = BatchWriteSpansRequest.deserialize(cloud_trace.request_bytes("p", [cloud_trace.span_bytes(span)]))

    attributes = request.spans[0].attributes.attribute_map
    assert attributes["/http/status_code"].int_value == 404
    assert attributes["/http/path"].string_value.value == "/x"
    assert attributes["is"].bool_value is True
    assert attributes["g.co/agent"].string_value.value == "athens-proxy"
    assert request.spans[0].start_time.isoformat() == "2017-07-14T02:40:00.250000+00:00"


KEPT = st.builds(
    KeptAnswer,
    path=st.text(st.characters(codec="ascii", min_codepoint=0x21), min_size=1, max_size=200),
    client=st.sampled_from(["", "192.0.2.7", "2001:db8::1"]),
    is_file=st.booleans(),
    request_id=st.text(st.characters(codec="ascii", min_codepoint=0x21), min_size=1, max_size=128).map(str.encode),
    ids=st.binary(min_size=24, max_size=24),
    start_ns=st.integers(0, 1 << 62),
    end_ns=st.integers(0, 1 << 62),
)


@given(st.lists(KEPT, min_size=1, max_size=5))
def test_spans_of_kept_answers_are_those_that_would_have_been_made_at_length(answers: list[KeptAnswer]) -> None:
    quick = otlp.KeptSpans()

    for _ in range(2):
        data = otlp.request_bytes(b"", quick.encoded(answers))
        read = ExportTraceServiceRequest.FromString(data).resource_spans[0].scope_spans[0].spans

        assert [otlp_span(span) for span in read] == [expected(kept.finished) for kept in answers]
        assert [dict(kept.finished.own)["athens.request_id"] for kept in answers] == [
            kept.request_id.decode() for kept in answers
        ]
