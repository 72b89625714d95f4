"""The Service in front of the pods."""

from __future__ import annotations

from typing import Any

from athens_operator.desired.inputs import Inputs
from athens_operator.desired.names import metadata, selector, service_name
from athens_operator.manifests import Manifest
from athens_operator.spec.proxy import AthensProxy


def service(proxy: AthensProxy, inputs: Inputs) -> Manifest:
    """One Service with one named port; pods that are not ready get no traffic."""
    wanted = proxy.spec.service
    port: dict[str, Any] = {
        "name": "http",
        "port": wanted.port,
        "protocol": "TCP",
        "targetPort": "http",
        "appProtocol": "http",
    }
    if wanted.node_port is not None:
        port["nodePort"] = wanted.node_port
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(
            proxy,
            inputs,
            name=service_name(proxy),
            extra_labels=wanted.labels,
            annotations=wanted.annotations,
        ),
        "spec": {"type": wanted.type, "selector": selector(proxy), "ports": [port]},
    }
