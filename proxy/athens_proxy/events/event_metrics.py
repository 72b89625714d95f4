"""How many events there are, who follows, and whether the proxy that is followed is there, for `/metrics`."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from athens_proxy.events.events import Events
from athens_proxy.events.follow import Follower
from athens_proxy.events.kinds import EventKind


class EventMetrics(Collector):
    """Reads the events when it is asked.

    Args:
        events: of this process.
    """

    def __init__(self, events: Events) -> None:
        self._events = events

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """The metrics now."""
        published = CounterMetricFamily("athens_events", "Events that were published.", labels=["kind"])
        for kind in EventKind:
            published.add_metric([str(kind)], self._events.counts[kind])
        yield published
        text = "Clients that follow the events now."
        yield GaugeMetricFamily("athens_event_followers", text, value=self._events.subscribers)


class FollowMetrics(Collector):
    """Asks the follower when it is asked.

    Args:
        follower: of the proxy that `Follow` names.
    """

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The metric now."""
        text = "Whether the events of the proxy that Follow names come in."
        yield GaugeMetricFamily("athens_following", text, value=float(self._follower.is_connected))
