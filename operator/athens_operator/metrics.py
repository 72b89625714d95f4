"""What the operator counts and measures; served at /metrics. The names are part of the product."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

NAMESPACE = "athens_operator"
PROPAGATION_BUCKETS_S = (0.5, 1, 2, 3, 5, 7, 10, 15, 30, 60, 120, 300)


class Metrics:
    """All metrics of one operator, in a registry of their own, so that tests can run several side by side."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.reconciles = self._counter("reconcile_total", "Passes over one object", "kind", "result")
        self.reconcile_s = self._histogram("reconcile_seconds", "Duration of one pass")
        self.queue_depth = self._gauge("queue_depth", "Keys that are ready or running")
        self.queue_oldest_s = self._gauge("queue_oldest_seconds", "Age of the oldest key in the queue")
        self.proxies = self._gauge("proxies", "AthensProxies by phase", "phase")
        self.proxy_ready = self._gauge("proxy_ready", "1 while the condition Ready is True", "namespace", "name")
        self.propagation_s = self._histogram(
            "policy_propagation_seconds", "From a new policy file to its last pod", PROPAGATION_BUCKETS_S
        )
        self.lagging_pods = self._gauge("policy_lagging_pods", "Pods that enforce another file than the wanted one")
        self.conflicts = self._gauge("policy_conflicts", "Rules that lose against others", "class")
        self.drift = self._counter("drift_corrections_total", "Children that somebody else had changed", "kind")
        self.field_fights = self._counter("field_fights_total", "Children that somebody keeps changing back")
        self.secret_rotations = self._counter("secret_rotations_total", "Changes of referenced Secrets")
        self.api_requests = self._counter("api_requests_total", "Requests to the API server", "verb", "code")
        self.watch_last_event_s = self._gauge("watch_last_event_seconds", "Time since the last event", "kind")
        self.anti_entropy = self._counter("anti_entropy_found_total", "Changes that a watch had missed", "kind")
        self.leader = self._gauge("leader", "1 while this process writes")
        self.loop_lag_s = self._gauge("loop_lag_seconds", "How late the event loop runs its timers")

    def text(self) -> bytes:
        """Everything in the Prometheus text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace=NAMESPACE, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace=NAMESPACE, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...] = Histogram.DEFAULT_BUCKETS) -> Histogram:
        return Histogram(name, text, namespace=NAMESPACE, registry=self.registry, buckets=buckets)
