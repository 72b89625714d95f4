"""What a Prometheus operator needs to scrape the pods."""

from __future__ import annotations

from athens_operator.desired.inputs import Inputs
from athens_operator.desired.names import metadata, scheme, selector, service_host
from athens_operator.manifests import PROXY_LABEL, Manifest
from athens_operator.spec.proxy import AthensProxy


def service_monitor(proxy: AthensProxy, inputs: Inputs) -> Manifest | None:
    """The ServiceMonitor; None where none is asked for, nothing is served or the cluster has no such kind."""
    wanted = proxy.spec.metrics.service_monitor
    if not (wanted.enabled and proxy.spec.metrics.enabled) or "ServiceMonitor" not in inputs.served:
        return None
    endpoint = {
        "port": scheme(proxy),
        "scheme": scheme(proxy),
        "path": f"{proxy.spec.server.path_prefix}/metrics",
        "interval": f"{wanted.interval_s}s",
        **_trust(proxy, inputs),
        **_login(proxy),
    }
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": metadata(proxy, inputs, name=proxy.name, extra_labels=wanted.labels),
        "spec": {
            "jobLabel": PROXY_LABEL,  # alerts and dashboards know the proxy, whatever its Service is called
            "selector": {"matchLabels": selector(proxy)},
            "endpoints": [endpoint],
        },
    }


def _trust(proxy: AthensProxy, inputs: Inputs) -> Manifest:
    """The pods' own certificate is trusted and nothing else, whoever signed it."""
    if proxy.spec.tls is None:
        return {}
    certificate = {"secret": {"name": proxy.spec.tls.secret_ref.name, "key": "tls.crt"}}
    host = service_host(proxy, inputs).removesuffix(f".{inputs.cluster_domain}")
    return {"tlsConfig": {"ca": certificate, "serverName": host}}


def _login(proxy: AthensProxy) -> Manifest:
    basic = proxy.spec.auth.basic
    secret = basic.secret_ref if basic else None
    if secret is None:
        return {}
    return {
        "basicAuth": {
            "username": {"name": secret.name, "key": secret.username_key},
            "password": {"name": secret.name, "key": secret.password_key},
        }
    }
