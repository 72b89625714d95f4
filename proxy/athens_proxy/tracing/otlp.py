"""Spans as OTLP's bytes; pure.

Written by hand because a span of a kept answer has a few microseconds: the library's objects and its encoder take many
times that (docs/decisions/0011-own-spans.md).

Source: https://github.com/open-telemetry/opentelemetry-proto, trace/v1/trace.proto, collector/trace/v1
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from athens_proxy.tracing import protobuf
from athens_proxy.tracing.spans import (
    REQUEST_ID,
    REQUEST_SPAN,
    Attribute,
    FinishedSpan,
    KeptAnswer,
    Kind,
    SharedAttribute,
)

_ERROR: Final = 2
_IS_SAMPLED: Final = 1
_IDS: Final = protobuf.tag(1, 2) + b"\x10"
_SPAN_ID: Final = protobuf.tag(2, 2) + b"\x08"
_TIMES: Final = struct.Struct("<cQcQ").pack
_TIMES_BYTES: Final = 18
_MOST_KEPT: Final = 4096
_START, _END = protobuf.tag(7, 1), protobuf.tag(8, 1)
_ATTRIBUTES: Final = 9
_ATTRIBUTE_TAG: Final = _ATTRIBUTES << 3 | 2
_SHORT: Final = 96  # characters
_SPAN: Final = protobuf.tag(2, 2)  # of ScopeSpans
_SCOPE: Final = protobuf.message(1, protobuf.text(1, "athens-proxy"))


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
        parts.append(b"".join([_attribute(_ATTRIBUTES, *pair) for pair in span.own]))
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
    scope_spans = b"".join((_SCOPE, *spans))
    head = resource + protobuf.head(2, len(scope_spans))
    return b"".join((protobuf.head(1, len(head) + len(scope_spans)), head, scope_spans))


def resource_bytes(attributes: Iterable[tuple[str, Attribute]]) -> bytes:
    """Who sends the spans, as a field of `ResourceSpans`."""
    return protobuf.message(1, b"".join(_attribute(1, name, value) for name, value in attributes))


@lru_cache(maxsize=4096)
def _of_many(name: str, kind: Kind, attributes: tuple[tuple[str, SharedAttribute], ...]) -> bytes:
    flags = protobuf.fixed32(16, _IS_SAMPLED)
    fields = b"".join(_attribute(_ATTRIBUTES, *pair) for pair in attributes)
    return protobuf.text(5, name) + protobuf.number(6, int(kind)) + flags + fields


def _attribute(field: int, name: str, value: Attribute) -> bytes:
    if isinstance(value, str) and len(value) < _SHORT and field == _ATTRIBUTES:
        data = value.encode("utf-8", "replace")
        head, size = _key(name), len(data)
        whole = len(head) + size + 4
        if whole < 0x80:  # every length is one byte
            return b"".join((bytes((_ATTRIBUTE_TAG, whole)), head, bytes((0x12, size + 2, 0x0A, size)), data))
    return protobuf.message(field, protobuf.text(1, name) + protobuf.message(2, _value(value)))


@lru_cache(maxsize=256)
def _key(name: str) -> bytes:
    return protobuf.text(1, name)


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


class KeptSpans:
    """The spans of requests that memory answered: what does not differ between two of them is made once."""

    def __init__(self) -> None:
        self._around: dict[tuple[str, str, bool, int], tuple[bytes, bytes]] = {}

    def encoded(self, answers: Iterable[KeptAnswer]) -> list[bytes]:
        """Their spans, each as `span_bytes` would make it."""
        spans: list[bytes] = []
        for kept in answers:
            path, client, is_file, request_id, ids, start_ns, end_ns = kept
            around = self._around.get((path, client, is_file, len(request_id)))
            before_ids, after_times = around if around is not None else self._remembered(kept)
            times = _TIMES(_START, start_ns, _END, end_ns)
            spans.append(b"".join((before_ids, ids[:16], _SPAN_ID, ids[16:], times, after_times, request_id)))
        return spans

    def _remembered(self, kept: KeptAnswer) -> tuple[bytes, bytes]:
        if len(self._around) >= _MOST_KEPT:
            self._around.clear()
        around = self._made(kept)
        self._around[kept.path, kept.client, kept.is_file, len(kept.request_id)] = around
        return around

    def _made(self, kept: KeptAnswer) -> tuple[bytes, bytes]:
        """What stands before the ids, and between the times and the request id."""
        fields = _of_many(REQUEST_SPAN, Kind.SERVER, kept.attributes)
        id_attribute = _attribute(_ATTRIBUTES, REQUEST_ID, kept.request_id.decode("ascii"))
        end = fields + id_attribute.removesuffix(kept.request_id)
        size = len(_IDS) + 16 + len(_SPAN_ID) + 8 + _TIMES_BYTES + len(end) + len(kept.request_id)
        return _SPAN + protobuf.varint(size) + _IDS, end
