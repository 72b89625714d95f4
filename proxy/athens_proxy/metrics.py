"""The metrics, in a registry of their own: Athens' names, and ours where it has none."""

from __future__ import annotations

from functools import partial

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

FETCH_BUCKETS_S = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
REQUEST_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


class Metrics:
    """Counts what the components report through their callbacks."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the series and Athens has none
        self._registry = CollectorRegistry()
        self._lookups = Counter(
            "proxy_cache_lookup",
            "Files that were asked for, and whether they were stored.",
            ["cache_result", "cache_type"],
            registry=self._registry,
        )
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
        self._requests = Counter(
            "proxy_http_requests",
            "Requests by method and status; 499 means that the client left first.",
            ["method", "status"],
            registry=self._registry,
        )
        self._request_durations = Histogram(
            "proxy_http_request_duration_seconds",
            "How long requests take, bodies included.",
            ["method", "status"],
            buckets=REQUEST_BUCKETS_S,
            registry=self._registry,
        )
        counter = partial(Counter, registry=self._registry)
        self._reloads = counter("athens_policy_reload", "Attempts to load a changed policy.", ["result"])
        self._audits = counter("athens_policy_audit", "Requests for files that an audit rule matched.", ["rule"])
        self._locks = counter("athens_lock", "How attempts to lock a version among replicas ended.", ["result"])
        # Finding a series by its labels costs more than counting.
        self._lookup_series: dict[tuple[str, bool], Counter] = {}
        self._request_series: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._index_waiting = Gauge(
            "athens_index_waiting", "Stored versions that the index has not taken yet.", registry=self._registry
        )
        self._other_owners = Gauge(
            "athens_store_other_owners",
            "Owners other than this proxy's that use its store now.",
            registry=self._registry,
        )
        self._policy = Gauge("athens_policy_info", "The enforced policy.", ["digest"], registry=self._registry)

    def lookup(self, cache_type: str, hit: bool) -> None:
        """A file (info, gomod, zip) was looked for in the store."""
        series = self._lookup_series.get((cache_type, hit))
        if series is None:
            series = self._lookups.labels("hit" if hit else "miss", cache_type)
            self._lookup_series[cache_type, hit] = series
        series.inc()

    def fetch(self, succeeded: bool, duration_s: float) -> None:
        """A fetch ended."""
        result = "success" if succeeded else "failure"
        self._fetches.labels(result).inc()
        self._fetch_durations.labels(result).observe(duration_s)

    def request(self, method: str, status: int, duration_s: float) -> None:
        """A request was answered."""
        key = (method if method in _METHODS else "other", status)
        series = self._request_series.get(key)
        if series is None:
            labels = (key[0], str(status))
            series = (self._requests.labels(*labels), self._request_durations.labels(*labels))
            self._request_series[key] = series
        requests, durations = series
        requests.inc()
        durations.observe(duration_s)

    def reload(self, result: str) -> None:
        """A changed policy was loaded or refused."""
        self._reloads.labels(result).inc()

    def audit(self, rule: str) -> None:
        """A request matched an audit rule, named by its name or its pattern."""
        self._audits.labels(rule).inc()

    def lock(self, result: str) -> None:
        """An attempt to lock a version among replicas ended."""
        self._locks.labels(result).inc()

    def index_waiting(self, count: int) -> None:
        """So many stored versions wait for the index."""
        self._index_waiting.set(count)

    def other_owners(self, count: int) -> None:
        """So many other owners use the store."""
        self._other_owners.set(count)

    def lookups(self) -> tuple[int, int]:
        """How many files were asked for since the start that were stored, and that were not."""
        hits, misses = (
            sum(
                self._registry.get_sample_value(
                    "proxy_cache_lookup_total", {"cache_result": result, "cache_type": cache_type}
                )
                or 0
                for cache_type in ("info", "gomod", "zip")
            )
            for result in ("hit", "miss")
        )
        return int(hits), int(misses)

    def render(self, *, policy_digest: str) -> tuple[bytes, str]:
        """The text for Prometheus and its content type."""
        self._policy.clear()
        self._policy.labels(policy_digest).set(1)
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4
