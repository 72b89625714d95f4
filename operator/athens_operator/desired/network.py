"""The Service in front of the pods, and what leads to it from outside: Ingress and HTTPRoute."""

from __future__ import annotations

from typing import Any

from athens_operator.desired.inputs import Inputs
from athens_operator.desired.names import metadata, scheme, selector, service_name, service_port
from athens_operator.manifests import Manifest
from athens_operator.spec.proxy import AthensProxy


def service(proxy: AthensProxy, inputs: Inputs) -> Manifest:
    """One Service with one named port; pods that are not ready get no traffic."""
    wanted = proxy.spec.service
    port: dict[str, Any] = {
        "name": scheme(proxy),
        "port": service_port(proxy),
        "protocol": "TCP",
        "targetPort": scheme(proxy),
        "appProtocol": scheme(proxy),
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


def ingress(proxy: AthensProxy, inputs: Inputs) -> Manifest | None:
    """One rule per host, all to the Service; None where no Ingress is asked for."""
    wanted = proxy.spec.ingress
    if wanted is None:
        return None
    backend = {"service": {"name": service_name(proxy), "port": {"name": scheme(proxy)}}}
    paths = [{"path": wanted.path, "pathType": wanted.path_type, "backend": backend}]
    issuers = {
        "cert-manager.io/cluster-issuer": wanted.tls.cluster_issuer if wanted.tls else "",
        "cert-manager.io/issuer": wanted.tls.issuer if wanted.tls else "",
    }
    annotations = {**wanted.annotations, **{key: issuer for key, issuer in issuers.items() if issuer}}
    secret = (wanted.tls.secret_name or f"{proxy.name}-tls") if wanted.tls else ""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata(proxy, inputs, name=proxy.name, annotations=annotations),
        "spec": {
            **({} if wanted.class_name is None else {"ingressClassName": wanted.class_name}),
            "rules": [{"host": host, "http": {"paths": paths}} for host in wanted.hosts],
            **({"tls": [{"hosts": list(wanted.hosts), "secretName": secret}]} if secret else {}),
        },
    }


def http_route(proxy: AthensProxy, inputs: Inputs) -> Manifest | None:
    """Everything for the names goes to the Service; None where no route is asked for or the cluster has no kind."""
    wanted = proxy.spec.http_route
    if wanted is None or "HTTPRoute" not in inputs.served:
        return None
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
        "backendRefs": [{"group": "", "kind": "Service", "name": service_name(proxy), "port": service_port(proxy)}],
        **({} if wanted.timeout_s is None else {"timeouts": {"request": f"{wanted.timeout_s}s"}}),
    }
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata(proxy, inputs, name=proxy.name, annotations=wanted.annotations),
        "spec": {
            "parentRefs": [dict(parent) for parent in wanted.parent_refs],
            **({"hostnames": list(wanted.hostnames)} if wanted.hostnames else {}),
            "rules": [rule],
        },
    }
