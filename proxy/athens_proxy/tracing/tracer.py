"""Begins spans and decides which traces are recorded; what ends goes to `emit`, which must never wait.

Sampling is Athens': everything in development, else what the caller samples, else a fraction by the id of the trace.

Source: OpenTelemetry's trace SDK specification, samplers ParentBased and TraceIdRatioBased
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from athens_proxy.errors import ModuleNotFound, ProxyError, RedirectTo
from athens_proxy.tracing.context import TraceContext
from athens_proxy.tracing.spans import Attribute, FinishedSpan, Kind, Span

_NO_ATTRIBUTES: Final[Mapping[str, Attribute]] = {}
_random_bytes = random.randbytes  # ids are no secrets
_current: ContextVar[TraceContext | None] = ContextVar("span", default=None)
Emit = Callable[[FinishedSpan], None]


def current() -> TraceContext | None:
    """The innermost span of the work that asks, None outside of every request."""
    return _current.get()


class Sampler:
    """Which traces are recorded.

    Args:
        fraction: of those that no caller has decided about, from 0 to 1.
        always: record everything, whatever callers decided.
    """

    def __init__(self, fraction: float, *, always: bool) -> None:
        self._bound = round(fraction * (1 << 64))
        self._always = always

    @property
    def samples_all(self) -> bool:
        """Whether every trace is recorded that no caller has decided about."""
        return self._always or self._bound >= 1 << 64

    def samples(self, trace_id: bytes, parent: TraceContext | None) -> bool:
        """Whether a trace is recorded; `parent` is the caller's span."""
        if self._always:
            return True
        if parent is not None:
            return parent.is_sampled
        return int.from_bytes(trace_id[8:]) < self._bound


class Tracer:
    """The one place where spans begin and end.

    Args:
        sampler: see `Sampler`.
        emit: takes each recorded span that ended.
        is_full: whether `emit` would drop it, so that nothing is made for nothing.
        on_dropped: told of each span that was not made for that reason.
    """

    def __init__(
        self, sampler: Sampler, *, emit: Emit, is_full: Callable[[], bool], on_dropped: Callable[[], None]
    ) -> None:
        self._sampler = sampler
        self._emit = emit
        self._is_full = is_full
        self._on_dropped = on_dropped

    @contextmanager
    def span(
        self,
        name: str,
        *,
        kind: Kind = Kind.INTERNAL,
        attributes: Mapping[str, Attribute] = _NO_ATTRIBUTES,
        parent: TraceContext | None = None,
    ) -> Iterator[Span]:
        """A span around the work in the context; what begins inside of it, also in new tasks, is a part of it.

        Args:
            name: of the work.
            kind: which side of a call it is.
            attributes: known at its beginning.
            parent: of another process; the span that is open here wins over it.
        """
        span = self.begun(name, kind=kind, attributes=attributes, parent=parent)
        token = _current.set(span.context)
        try:
            yield span
        except BaseException as failure:
            _note(span, failure)
            raise
        finally:
            _current.reset(token)
            self.end(span)

    def begun(
        self,
        name: str,
        *,
        kind: Kind = Kind.INTERNAL,
        attributes: Mapping[str, Attribute] = _NO_ATTRIBUTES,
        parent: TraceContext | None = None,
    ) -> Span:
        """A span that the caller ends; nothing becomes a part of it by itself."""
        above = _current.get()
        parent = above or parent
        trace_id = parent.trace_id if parent else _random_bytes(16)
        is_sampled = above.is_sampled if above else self._sampler.samples(trace_id, parent)
        state = parent.state if parent else ""
        context = TraceContext(trace_id, _random_bytes(8), is_sampled, state)
        return Span(context, name, kind, parent.span_id if parent else b"", attributes)

    def end(self, span: Span) -> None:
        """The work of a span has ended."""
        if not span.context.is_sampled:
            return
        if self._is_full():
            self._on_dropped()
            return
        self._emit(span.finished())


def _note(span: Span, failure: BaseException) -> None:
    """What a failure says about a span; that something is absent, elsewhere or not wanted any more is none of it."""
    if isinstance(failure, asyncio.CancelledError | GeneratorExit):
        span.set(outcome="cancelled")
    elif isinstance(failure, ModuleNotFound):
        span.set(outcome="not found")
    elif isinstance(failure, RedirectTo):
        span.set(outcome="redirect")
    else:
        span.error = str(failure) if isinstance(failure, ProxyError) and str(failure) else type(failure).__name__
