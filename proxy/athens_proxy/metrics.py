"""The metrics, in a registry of their own: Athens' names, and ours where it has none."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Iterator
from functools import partial
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

FETCH_BUCKETS_S = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
REQUEST_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_CACHE_TYPES = ("info", "gomod", "zip")
_COUNTED_RULES = 500
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


class Metrics:
    """Counts what the components report through their callbacks."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the series and Athens has none
        self._registry = CollectorRegistry()
        self._lookups = _Lookups()
        self._registry.register(self._lookups)
        self._fetches = Counter(
            "proxy_upstream_fetch", "Fetches from upstream.", ["fetch_result"], registry=self._registry
        )
        self._fetch_durations = Histogram(
            "proxy_upstream_fetch_duration_seconds",
            "How long fetches from upstream take.",
            ["fetch_result"],
            buckets=FETCH_BUCKETS_S,
            registry=self._registry,
        )
        self._requests = _Requests()
        self._registry.register(self._requests)
        counter = partial(Counter, registry=self._registry)
        self._reloads = counter("athens_policy_reload", "Attempts to load a changed policy.", ["result"])
        self._audits = counter("athens_policy_audit", "Requests for files that an audit rule matched.", ["rule"])
        self._decisions = _Decisions()
        self._registry.register(self._decisions)
        self._locks = counter("athens_lock", "How attempts to lock a version among replicas ended.", ["result"])
        self._index_waiting = Gauge(
            "athens_index_waiting", "Stored versions that the index has not taken yet.", registry=self._registry
        )
        self._other_owners = Gauge(
            "athens_store_other_owners",
            "Owners other than this proxy's that use its store now.",
            registry=self._registry,
        )
        self._client_problems = Gauge(
            "athens_client_problems",
            "Lines, files and folders of client credentials that cannot be used and let nobody in.",
            registry=self._registry,
        )
        self._policy = Gauge("athens_policy_info", "The enforced policy.", ["digest"], registry=self._registry)

    def lookup(self, cache_type: str, hit: bool) -> None:
        """A file (info, gomod, zip) was looked for in the store."""
        self._lookups.counts["hit" if hit else "miss", cache_type] += 1

    def hit(self, cache_type: str, duration_s: float) -> None:
        """A GET was answered 200, and its file ("" for none) was stored: `lookup` and `request` for less."""
        if cache_type:
            self._lookups.counts["hit", cache_type] += 1
        self._requests.got.add(duration_s)

    def fetch(self, succeeded: bool, duration_s: float) -> None:
        """A fetch ended."""
        result = "success" if succeeded else "failure"
        self._fetches.labels(result).inc()
        self._fetch_durations.labels(result).observe(duration_s)

    def request(self, method: str, status: int, duration_s: float) -> None:
        """A request was answered."""
        self._requests.of(method if method in _METHODS else "other", status).add(duration_s)

    def reload(self, result: str) -> None:
        """A changed policy was loaded or refused."""
        self._reloads.labels(result).inc()

    def audit(self, rule: str) -> None:
        """A request matched an audit rule, named by its name or its pattern."""
        self._audits.labels(rule).inc()

    def decision(self, rule: str, verdict: str, *, audit: bool) -> None:
        """The policy decided about a request; `verdict` is what the rule says, enforced or, with `audit`, not."""
        self._decisions.add(rule, verdict, audit=audit)

    def lock(self, result: str) -> None:
        """An attempt to lock a version among replicas ended."""
        self._locks.labels(result).inc()

    def index_waiting(self, count: int) -> None:
        """So many stored versions wait for the index."""
        self._index_waiting.set(count)

    def other_owners(self, count: int) -> None:
        """So many other owners use the store."""
        self._other_owners.set(count)

    def client_problems(self, count: int) -> None:
        """So many credentials of clients cannot be used."""
        self._client_problems.set(count)

    def register(self, collector: Collector) -> None:
        """What a component counts by itself is rendered as well."""
        self._registry.register(collector)

    def lookups(self) -> tuple[int, int]:
        """How many files were asked for since the start that were stored, and that were not."""
        counts = self._lookups.counts
        hits, misses = (sum(counts[result, kind] for kind in _CACHE_TYPES) for result in ("hit", "miss"))
        return hits, misses

    def render(self, *, policy_digest: str) -> tuple[bytes, str]:
        """The text for Prometheus and its content type."""
        self._policy.clear()
        self._policy.labels(policy_digest).set(1)
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4


class _Lookups(Collector):
    """Whether files were stored: plain numbers that become a metric when somebody asks for it.

    A counter of the library locks and looks up its labels; every cached answer would pay for that.
    """

    def __init__(self) -> None:
        self.counts: Counts[tuple[str, str]] = Counts()

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The metric now."""
        text = "Files that were asked for, and whether they were stored."
        family = CounterMetricFamily("proxy_cache_lookup", text, labels=["cache_result", "cache_type"])
        for labels, count in list(self.counts.items()):
            family.add_metric(labels, count)
        yield family


class _Decisions(Collector):
    """Decisions of the policy by rule; rules beyond the first ones count as `other`, whatever files come and go."""

    def __init__(self) -> None:
        self._counts: Counts[tuple[str, str, str]] = Counts()
        self._rules: set[str] = set()

    def add(self, rule: str, verdict: str, *, audit: bool) -> None:
        """One more."""
        if rule not in self._rules:
            if len(self._rules) == _COUNTED_RULES:
                rule = "other"
            else:
                self._rules.add(rule)
        self._counts[rule, verdict, "true" if audit else "false"] += 1

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The metric now."""
        text = "Decisions of the download policy that were not repeated from memory."
        family = CounterMetricFamily("athens_policy_decisions", text, labels=["rule", "verdict", "audit"])
        for labels, count in list(self._counts.items()):
            family.add_metric(labels, count)
        yield family


class _Series:
    """The requests of one method and status, by duration."""

    __slots__ = ("buckets", "sum_s")

    def __init__(self) -> None:
        self.sum_s = 0.0
        self.buckets = [0] * (len(REQUEST_BUCKETS_S) + 1)

    def add(self, duration_s: float) -> None:
        self.sum_s += duration_s
        self.buckets[0 if duration_s <= REQUEST_BUCKETS_S[0] else bisect_left(REQUEST_BUCKETS_S, duration_s)] += 1


class _Requests(Collector):
    """Requests by method and status, as plain numbers too."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, int], _Series] = {}
        self._got: _Series | None = None

    @property
    def got(self) -> _Series:
        """The series of GET with status 200."""
        if self._got is None:
            self._got = self.of("GET", 200)
        return self._got

    def of(self, method: str, status: int) -> _Series:
        """The series of a method and a status."""
        series = self._series.get((method, status))
        if series is None:
            series = self._series[method, status] = _Series()
        return series

    def collect(self) -> Iterator[CounterMetricFamily | HistogramMetricFamily]:
        """Both metrics now."""
        labels = ["method", "status"]
        text = "Requests by method and status; 499 means that the client left first."
        counts = CounterMetricFamily("proxy_http_requests", text, labels=labels)
        text = "How long requests take, bodies included."
        durations = HistogramMetricFamily("proxy_http_request_duration_seconds", text, labels=labels)
        names = [*(str(float(bound)) for bound in REQUEST_BUCKETS_S), "+Inf"]
        for (method, status), series in list(self._series.items()):
            sums = list(accumulate(series.buckets))
            counts.add_metric([method, str(status)], sums[-1])
            durations.add_metric([method, str(status)], list(zip(names, sums, strict=True)), series.sum_s)
        yield counts
        yield durations
