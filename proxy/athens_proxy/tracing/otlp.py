"""Spans as OTLP's bytes; pure.

Written by hand because a span of a kept answer has a few microseconds: the library's objects and its encoder take many
times that (docs/decisions/0013-own-spans.md).

Source: https://github.com/open-telemetry/opentelemetry-proto, trace/v1/trace.proto, collector/trace/v1
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from athens_proxy.tracing import protobuf
from athens_proxy.tracing.spans import Attribute, FinishedSpan, Kind, SharedAttribute

_ERROR: Final = 2
_IS_SAMPLED: Final = 1
_IDS: Final = protobuf.tag(1, 2) + b"\x10"
_SPAN_ID: Final = protobuf.tag(2, 2) + b"\x08"
_TIMES: Final = struct.Struct("<cQcQ").pack
_START, _END = protobuf.tag(7, 1), protobuf.tag(8, 1)
_SPAN: Final = protobuf.tag(2, 2)  # of ScopeSpans


def span_bytes(span: FinishedSpan) -> bytes:
    """One span as a field of `ScopeSpans`, so that many of them need only be joined."""
    context = span.context
    parts = [
        _IDS,
        context.trace_id,
        _SPAN_ID,
        context.span_id,
        _TIMES(_START, span.start_ns, _END, span.end_ns),
        _of_many(span.name, span.kind, span.attributes),
    ]
    if span.own:
        parts.append(b"".join([_attribute(9, *pair) for pair in span.own]))
    if span.parent_id:
        parts.append(protobuf.message(4, span.parent_id))
    if context.state:
        parts.append(protobuf.text(3, context.state))
    if span.error:
        parts.append(protobuf.message(15, protobuf.text(2, span.error) + protobuf.number(3, _ERROR)))
    content = b"".join(parts)
    return b"".join((_SPAN, protobuf.varint(len(content)), content))


def request_bytes(resource: bytes, spans: Iterable[bytes]) -> bytes:
    """An `ExportTraceServiceRequest` of spans that `span_bytes` made."""
    scope_spans = protobuf.message(1, protobuf.text(1, "athens-proxy")) + b"".join(spans)
    return protobuf.message(1, resource + protobuf.message(2, scope_spans))


def resource_bytes(attributes: Iterable[tuple[str, Attribute]]) -> bytes:
    """Who sends the spans, as a field of `ResourceSpans`."""
    return protobuf.message(1, b"".join(_attribute(1, name, value) for name, value in attributes))


@lru_cache(maxsize=4096)
def _of_many(name: str, kind: Kind, attributes: tuple[tuple[str, SharedAttribute], ...]) -> bytes:
    flags = protobuf.fixed32(16, _IS_SAMPLED)
    fields = b"".join(_attribute(9, *pair) for pair in attributes)
    return protobuf.text(5, name) + protobuf.number(6, int(kind)) + flags + fields


def _attribute(field: int, name: str, value: Attribute) -> bytes:
    return protobuf.message(field, protobuf.text(1, name) + protobuf.message(2, _value(value)))


def _value(value: Attribute) -> bytes:
    match value:
        case str():
            return protobuf.text(1, value)
        case bool():
            return protobuf.number(2, value)
        case int():
            return protobuf.number(3, value)
        case float():
            return protobuf.double(4, value)
