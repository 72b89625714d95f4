"""Spans as Google Cloud Trace's bytes; pure.

Source: https://github.com/googleapis/googleapis, google/devtools/cloudtrace/v2/trace.proto and tracing.proto
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from athens_proxy.tracing import protobuf
from athens_proxy.tracing.spans import Attribute, FinishedSpan

_UNKNOWN_ERROR: Final = 2
_MAX_ATTRIBUTES: Final = 32
_NAME_BYTES, _TEXT_BYTES = 128, 256
# Cloud Trace shows these in its own columns.
_LABELS: Final = {
    "http.request.method": "/http/method",
    "url.path": "/http/path",
    "http.response.status_code": "/http/status_code",
    "user_agent.original": "/http/user_agent",
    "client.address": "/http/client_address",
}


def span_bytes(span: FinishedSpan) -> bytes:
    """One span for `request_bytes`: the two ids that its name consists of, and the rest of its fields."""
    context = span.context
    parts = [
        context.trace_id,
        context.span_id,
        protobuf.text(2, context.span_id.hex()),
        protobuf.text(3, span.parent_id.hex()) if span.parent_id else b"",
        protobuf.message(4, _text(span.name, _NAME_BYTES)),
        protobuf.message(5, _timestamp(span.start_ns)),
        protobuf.message(6, _timestamp(span.end_ns)),
        protobuf.message(7, _attributes([*span.attributes, *span.own])),
        protobuf.number(14, int(span.kind)),
    ]
    if span.error:
        parts.append(protobuf.message(11, protobuf.number(1, _UNKNOWN_ERROR) + protobuf.text(2, span.error)))
    return b"".join(parts)


def request_bytes(project: str, spans: Iterable[bytes]) -> bytes:
    """A `BatchWriteSpansRequest` of spans that `span_bytes` made."""
    return protobuf.text(1, f"projects/{project}") + b"".join(_named(span, project) for span in spans)


def _named(span: bytes, project: str) -> bytes:
    name = f"projects/{project}/traces/{span[:16].hex()}/spans/{span[16:24].hex()}"
    return protobuf.message(2, protobuf.text(1, name) + span[24:])


def _timestamp(at_ns: int) -> bytes:
    seconds, nanoseconds = divmod(at_ns, 1_000_000_000)
    return protobuf.number(1, seconds) + protobuf.number(2, nanoseconds)


def _attributes(attributes: list[tuple[str, Attribute]]) -> bytes:
    kept = [("g.co/agent", "athens-proxy"), ("service.name", "proxy"), *attributes][:_MAX_ATTRIBUTES]
    return b"".join(
        protobuf.message(1, protobuf.text(1, _LABELS.get(name, name)) + protobuf.message(2, _value(value)))
        for name, value in kept
    )


def _value(value: Attribute) -> bytes:
    match value:
        case bool():
            return protobuf.number(3, value)
        case int():
            return protobuf.number(2, value)
        case _:
            return protobuf.message(1, _text(str(value), _TEXT_BYTES))


def _text(text: str, at_most_bytes: int) -> bytes:
    """A `TruncatableString`."""
    data = text.encode("utf-8", "replace")
    kept = data[:at_most_bytes].decode("utf-8", "ignore").encode()
    return protobuf.message(1, kept) + protobuf.number(2, len(data) - len(kept))
