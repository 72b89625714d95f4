"""What the store holds, what went from it and what is purged, for `/metrics`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from athens_proxy.modules import ModuleVersion
from athens_proxy.retention.ledger import Ledger
from athens_proxy.retention.plan import Eviction, Reason

Family = CounterMetricFamily | GaugeMetricFamily


class StoreMetrics(Collector):
    """Counts evictions, and reads the rest from the ledger when it is asked.

    Args:
        ledger: of the store; None where nothing counts what it holds.
    """

    def __init__(self, ledger: Ledger | None) -> None:
        self._ledger = ledger
        self._evictions: Counter[Reason] = Counter()
        self._evicted_bytes = 0
        self._planned_bytes = 0
        self._purged = 0
        self._purge_file: bool | None = None

    def evicted(self, eviction: Eviction[ModuleVersion]) -> None:
        """A zip went."""
        self._evictions[eviction.reason] += 1
        self._evicted_bytes += eviction.zip_bytes

    def planned(self, size_bytes: int) -> None:
        """So much would go if retention did not only try."""
        self._planned_bytes = size_bytes

    def purged(self, count: int) -> None:
        """So many versions are purged."""
        self._purged = count

    def purge_file(self, is_good: bool) -> None:
        """The list of purged versions was read, or refused."""
        self._purge_file = is_good

    def collect(self) -> Iterator[Family]:
        """The metrics now."""
        if self._ledger is not None:
            yield from self._of_ledger(self._ledger)
        yield GaugeMetricFamily("athens_purged_versions", "Versions that were purged.", value=self._purged)
        if self._purge_file is not None:
            text = "Whether the last change of PurgeFile was taken."
            yield GaugeMetricFamily("athens_purge_file_last_reload_successful", text, value=float(self._purge_file))

    def _of_ledger(self, ledger: Ledger) -> Iterator[Family]:
        text = "Size of the files of all stored versions, as far as they are counted."
        yield GaugeMetricFamily("athens_store_bytes", text, value=ledger.size_bytes)
        yield GaugeMetricFamily("athens_store_objects", "Stored versions that have their zip.", value=ledger.zips)
        text = "Size of the zips that Retention.DryRun keeps from going."
        yield GaugeMetricFamily("athens_retention_planned_bytes", text, value=self._planned_bytes)
        evictions = CounterMetricFamily("athens_evictions", "Zips that were evicted.", labels=["reason"])
        for reason in Reason:
            evictions.add_metric([str(reason)], self._evictions[reason])
        yield evictions
        text = "Size of the zips that were evicted."
        yield CounterMetricFamily("athens_evicted_bytes", text, value=self._evicted_bytes)
