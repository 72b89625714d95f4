"""Children of kinds that the cluster may lack."""

from __future__ import annotations

from athens_operator.desired.inputs import Inputs
from athens_operator.spec.proxy import AthensProxy

API_OF = {
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "ServiceMonitor": "monitoring.coreos.com/v1",
    "PrometheusRule": "monitoring.coreos.com/v1",
    "Job": "batch/v1",
}


def missing_kinds(proxy: AthensProxy, inputs: Inputs) -> list[str]:
    """Kinds that the spec asks for and that cannot be made here."""
    wanted = {
        "HTTPRoute": proxy.spec.http_route is not None,
        "ServiceMonitor": proxy.spec.metrics.enabled and proxy.spec.metrics.service_monitor.enabled,
        "PrometheusRule": proxy.spec.metrics.enabled and proxy.spec.metrics.rules.enabled,
        "Job": proxy.spec.prefetch is not None,
    }
    return [kind for kind, asked in wanted.items() if asked and kind not in inputs.served]


def missing_apis(proxy: AthensProxy, inputs: Inputs) -> list[str]:
    """The same as sentences for `status.missingCapabilities`."""
    return [
        f"{kind} ({API_OF[kind]}): the cluster does not serve it, or the operator may not list it"
        for kind in missing_kinds(proxy, inputs)
    ]
