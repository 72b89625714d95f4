"""One span: a piece of work with a beginning, an end, attributes, and a failure if it had one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from enum import IntEnum
from functools import partial
from typing import Final, NamedTuple

from athens_proxy.tracing.context import TraceContext

Attribute = str | int | float | bool
SharedAttribute = str | int  # never a bool or float: a cache would take True and 1.0 for 1
MAX_ATTRIBUTE_CHARS: Final = 1024
REQUEST_SPAN: Final = "proxy"  # Athens' name for it
REQUEST_ID: Final = "athens.request_id"


class Kind(IntEnum):
    """Which side of a call a span is; the numbers are OTLP's, and Cloud Trace's too."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3


class FinishedSpan(NamedTuple):
    """A span that ended; a tuple, since one is made for every request.

    Attributes:
        context: its ids.
        parent_id: of the span that it is a part of, b"" for the first one.
        name: of the work.
        kind: which side of a call it is.
        start_ns: nanoseconds since 1970.
        end_ns: the same.
        attributes: what is the same for many spans, which their bytes are remembered for.
        own: what differs from span to span, such as a request id.
        error: why the work failed, "" if it did not.
    """

    context: TraceContext
    parent_id: bytes
    name: str
    kind: Kind
    start_ns: int
    end_ns: int
    attributes: tuple[tuple[str, SharedAttribute], ...]
    own: tuple[tuple[str, Attribute], ...] = ()
    error: str = ""


class KeptAnswer(NamedTuple):
    """A request that memory answered.

    Attributes:
        path: of it.
        client: address of whoever asked, "" if it has none.
        is_file: whether a stored file was asked for.
        request_id: in ASCII.
        ids: of trace (16 bytes) and span (8 bytes).
        start_ns: nanoseconds since 1970.
        end_ns: the same.
    """

    path: str
    client: str
    is_file: bool
    request_id: bytes
    ids: bytes
    start_ns: int
    end_ns: int

    @property
    def attributes(self) -> tuple[tuple[str, SharedAttribute], ...]:
        """All attributes but the request id."""
        return (
            ("http.request.method", "GET"),
            ("url.path", self.path),
            ("http.response.status_code", 200),
            *((("client.address", self.client),) if self.client else ()),
            *((("athens.cache", "hit"),) if self.is_file else ()),
        )

    @property
    def finished(self) -> FinishedSpan:
        """Its span."""
        context = TraceContext(self.ids[:16], self.ids[16:], True)
        own: tuple[tuple[str, Attribute], ...] = ((REQUEST_ID, self.request_id.decode("ascii")),)
        return FinishedSpan(context, b"", REQUEST_SPAN, Kind.SERVER, self.start_ns, self.end_ns, self.attributes, own)


new_kept_answer: Final[Callable[[tuple[str, str, bool, bytes, bytes, int, int]], KeptAnswer]] = partial(
    tuple.__new__, KeptAnswer
)
"""A kept answer of the values of its fields in their order, in half the time."""


class Span:
    """Work under way.

    Args:
        context: its ids.
        name: of the work.
        kind: which side of a call it is.
        parent_id: of the span that it is a part of, b"" for none.
        attributes: known at its beginning.
    """

    __slots__ = ("_attributes", "_began_at_ns", "context", "error", "kind", "name", "parent_id", "start_ns")

    def __init__(
        self, context: TraceContext, name: str, kind: Kind, parent_id: bytes, attributes: Mapping[str, Attribute]
    ) -> None:
        self.context = context
        self.name = name
        self.kind = kind
        self.parent_id = parent_id
        self.error = ""
        self.start_ns = time.time_ns()
        self._began_at_ns = time.monotonic_ns()  # clocks of the day may jump meanwhile
        self._attributes = dict(attributes)

    def set(self, **attributes: Attribute) -> None:
        """Add attributes, empty ones excepted; a `__` in a name stands for its dot."""
        for name, value in attributes.items():
            if value != "":
                self._attributes[name.replace("__", ".")] = _bounded(value)

    def finished(self) -> FinishedSpan:
        """The span as it is now."""
        end_ns = self.start_ns + time.monotonic_ns() - self._began_at_ns
        return FinishedSpan(
            self.context,
            self.parent_id,
            self.name,
            self.kind,
            self.start_ns,
            end_ns,
            (),
            tuple(self._attributes.items()),
            _bounded_text(self.error),
        )


def _bounded(value: Attribute) -> Attribute:
    return _bounded_text(value) if isinstance(value, str) else value


def _bounded_text(text: str) -> str:
    return text if len(text) <= MAX_ATTRIBUTE_CHARS else f"{text[:MAX_ATTRIBUTE_CHARS]}…"
