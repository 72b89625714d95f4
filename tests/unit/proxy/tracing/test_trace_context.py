"""W3C trace context: what callers may say, and what is passed on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athens_proxy.tracing.context import TraceContext, context_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("header", "is_sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f"00-{TRACE}-{SPAN}-fe", False),
        (f" 00-{TRACE}-{SPAN}-01 ", True),
        (f"cc-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", True),
    ],
)
def test_a_caller_that_follows_the_standard_is_understood(header: str, is_sampled: bool) -> None:
    assert context_of(header) == TraceContext(bytes.fromhex(TRACE), bytes.fromhex(SPAN), is_sampled)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01.",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0\N{ARABIC-INDIC DIGIT ONE}",
    ],
)
def test_a_caller_that_does_not_begins_no_trace_of_ours(header: str) -> None:
    assert context_of(header) is None


@given(st.text())
def test_any_header_is_read_without_failing(header: str) -> None:
    assert context_of(header, header) is None or header.strip()[2] == "-"


@given(st.binary(min_size=16, max_size=16).filter(any), st.binary(min_size=8, max_size=8).filter(any), st.booleans())
def test_what_is_written_is_what_is_read(trace_id: bytes, span_id: bytes, is_sampled: bool) -> None:
    context = TraceContext(trace_id, span_id, is_sampled)

    assert context_of(context.traceparent) == context


@pytest.mark.parametrize(
    ("state", "kept"), [("a=1,b=2", "a=1,b=2"), ("", ""), ("a=1\r\nX: y", ""), ("x" * 513, ""), ("ü=1", "")]
)
def test_the_state_of_others_is_kept_if_it_can_be_passed_on(state: str, kept: str) -> None:
    context = context_of(f"00-{TRACE}-{SPAN}-01", state)

    assert context is not None
    assert context.state == kept
