"""The metrics of the server's certificate."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from athens_proxy.tls import ServerCertificate


class CertificateMetrics(Collector):
    """How often the certificate changed, and when it ends.

    Args:
        certificate: the served one.
    """

    def __init__(self, certificate: ServerCertificate) -> None:
        self._certificate = certificate

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Both metrics now."""
        text = "Changed certificate files that were taken, or could not be used so that the old certificate stayed."
        reloads = CounterMetricFamily("athens_certificate_reload", text, labels=["result"])
        for result, count in self._certificate.reloads.items():
            reloads.add_metric([result], count)
        text = "Unix time at which the served certificate ends."
        ends = GaugeMetricFamily("athens_certificate_expiry_timestamp_seconds", text)
        ends.add_metric([], self._certificate.not_after_s)
        yield reloads
        yield ends
