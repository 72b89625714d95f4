"""The wrappers of a proxy whose requests are traced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from athens_proxy.download.rules import Rules
from athens_proxy.layer_metrics import LayerMetrics
from athens_proxy.storage.storage import Storage
from athens_proxy.telemetry import Layer, Telemetry
from athens_proxy.tracing.kept_answers import KeptAnswers
from athens_proxy.tracing.layers import (
    TracedFetcher,
    TracedGate,
    TracedStasher,
    client_spans,
    traced_rules,
    traced_storage,
)
from athens_proxy.tracing.tracer import Tracer
from athens_proxy.upstream.fetcher import Fetcher
from athens_proxy.web.top import Gate, Top


class Traced(Telemetry):
    """A span for each layer.

    Args:
        metrics: as of `Telemetry`.
        top: the same.
        tracer: see `Tracer`.
        kept_answer: records requests that memory answered.
    """

    def __init__(self, metrics: LayerMetrics, top: Top, tracer: Tracer, kept_answer: KeptAnswers) -> None:
        super().__init__(metrics, top)
        self._tracer = tracer
        self.clients = (client_spans(tracer),)
        self.kept_answer = kept_answer

    def gate(self, gate: Gate) -> Gate:
        """See `Telemetry.gate`."""
        return super().gate(TracedGate(gate, self._tracer))

    def rules(self, rules: Rules) -> Rules:
        """See `Telemetry.rules`."""
        return traced_rules(rules, self._tracer)

    def storage(self, storage: Storage) -> Storage:
        """See `Telemetry.storage`."""
        return traced_storage(storage, self._tracer)

    def fetcher(self, fetcher: Fetcher) -> Fetcher:
        """See `Telemetry.fetcher`."""
        return TracedFetcher(fetcher, self._tracer)

    def stash(self, name: str) -> Layer:
        """See `Telemetry.stash`."""
        return partial(TracedStasher, tracer=self._tracer, name=name)

    def upstream(self, upstream: str, what: str) -> AbstractContextManager[object]:
        """See `Telemetry.upstream`."""
        return self._tracer.span(f"upstream.{what}", attributes={"athens.upstream": upstream})

    @contextmanager
    def lock(self) -> Iterator[None]:
        """See `Telemetry.lock`."""
        with super().lock(), self._tracer.span("lock"):
            yield
