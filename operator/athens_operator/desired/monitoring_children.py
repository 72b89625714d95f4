"""What watches over one proxy: its alerts and its dashboard, with the content of the chart's fleet-wide ones."""

from __future__ import annotations

from typing import Final

from athens_operator.desired.alerts import alert_groups
from athens_operator.desired.dashboard import dashboard
from athens_operator.desired.inputs import Inputs
from athens_operator.desired.names import metadata
from athens_operator.manifests import Manifest
from athens_operator.spec.proxy import AthensProxy

SIDECAR_LABEL: Final = "grafana_dashboard"
SIDECAR_FOLDER: Final = "grafana_folder"
"""What the sidecar of Grafana's chart looks for by default."""


def prometheus_rule(proxy: AthensProxy, inputs: Inputs) -> Manifest | None:
    """The alerts; None where none are asked for, nothing is measured or the cluster has no such kind."""
    wanted = proxy.spec.metrics.rules
    if not (wanted.enabled and proxy.spec.metrics.enabled) or "PrometheusRule" not in inputs.served:
        return None
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": metadata(proxy, inputs, name=proxy.name, extra_labels=wanted.labels),
        "spec": {"groups": alert_groups(namespace=proxy.namespace, name=proxy.name)},
    }


def dashboard_config_map(proxy: AthensProxy, inputs: Inputs) -> Manifest | None:
    """The ConfigMap that Grafana's sidecar picks up; None where none is asked for."""
    wanted = proxy.spec.metrics.dashboard
    if not (wanted.enabled and proxy.spec.metrics.enabled):
        return None
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(
            proxy,
            inputs,
            name=f"{proxy.name}-dashboard",
            extra_labels={SIDECAR_LABEL: "1", **wanted.labels},
            annotations={SIDECAR_FOLDER: wanted.folder} if wanted.folder else {},
        ),
        "data": {f"{proxy.namespace}-{proxy.name}.json": dashboard(namespace=proxy.namespace, name=proxy.name)},
    }
