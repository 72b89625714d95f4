"""Metrics of what a request waits for: upstreams, locks, queues, and the way of traces out of here."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

UPSTREAM_BUCKETS_S: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
WAIT_BUCKETS_S: Final = (0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300)
Count = Callable[[], int]


class LayerMetrics(Collector):
    """Counts what the layers report; labels are words of ours, never names of modules or hosts."""

    def __init__(self) -> None:
        self._queues: dict[str, Count] = {}
        self._asked = Counter(
            "athens_upstream_requests",
            "Questions to upstreams, by class of upstream and outcome.",
            ["upstream", "outcome"],
            registry=None,
        )
        self._took = Histogram(
            "athens_upstream_request_duration_seconds",
            "How long questions to upstreams take, fetches with their zip included.",
            ["upstream"],
            buckets=UPSTREAM_BUCKETS_S,
            registry=None,
        )
        self._waited = Histogram(
            "athens_lock_wait_seconds",
            "How long fetches wait for the lock of their version among replicas.",
            buckets=WAIT_BUCKETS_S,
            registry=None,
        )
        self._spans: Counts[str] = Counts()

    def queue(self, name: str, count: Count) -> None:
        """A queue tells how much it holds whenever somebody looks."""
        self._queues[name] = count

    def asked(self, upstream: str, outcome: str, duration_s: float) -> None:
        """An upstream was asked."""
        self._asked.labels(upstream, outcome).inc()
        self._took.labels(upstream).observe(duration_s)

    def waited(self, duration_s: float) -> None:
        """A fetch has waited for its lock."""
        self._waited.observe(duration_s)

    def spans(self, result: str, count: int) -> None:
        """So many spans were exported, dropped or refused."""
        self._spans[result] += count

    def collect(self) -> Iterator[Metric]:
        """The metrics now."""
        for metric in (self._asked, self._took, self._waited):
            yield from metric.collect()
        text = "Spans by what became of them: exported, dropped (no room), refused (by the collector)."
        spans = CounterMetricFamily("athens_trace_spans", text, labels=["result"])
        for result, count in self._spans.items():
            spans.add_metric([result], count)
        yield spans
        family = GaugeMetricFamily("athens_queue_depth", "Work that is under way or waits.", labels=["queue"])
        for name, held in self._queues.items():
            family.add_metric([name], held())
        yield family
