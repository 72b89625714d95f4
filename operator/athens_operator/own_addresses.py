"""Every address at which a proxy is known to be reached, for policies that must not lead back to it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from athens_operator.desired.names import service_name, service_port
from athens_operator.spec import AthensProxy
from athens_policy.outward import Outward, OwnAddress, http_entries

FRONT_PORTS = frozenset({80, 443})


def own_addresses(proxy: AthensProxy, cluster_domain: str) -> tuple[OwnAddress, ...]:
    """The names of the Service as pods of the proxy's namespace resolve them, and the hosts of Ingress and HTTPRoute.

    Args:
        proxy: whose.
        cluster_domain: suffix of Service names.
    """
    prefix = proxy.spec.server.path_prefix
    ports = frozenset({service_port(proxy)})
    inside = (OwnAddress(host.lower(), ports, prefix) for host in _service_hosts(proxy, cluster_domain))
    outside = (OwnAddress(host.lower(), FRONT_PORTS, prefix) for host in _front_hosts(proxy))
    return (*inside, *outside)


def own_upstreams(proxy: AthensProxy) -> tuple[Outward, ...]:
    """The addresses that the proxy itself fetches from, apart from its policies."""
    entries = http_entries(proxy.spec.upstream.goproxy)
    return (Outward("spec.upstream.goproxy", entries),) if entries else ()


def _service_hosts(proxy: AthensProxy, cluster_domain: str) -> Iterator[str]:
    name, namespace = service_name(proxy), proxy.namespace
    yield from (name, f"{name}.{namespace}", f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.{cluster_domain}")


def _front_hosts(proxy: AthensProxy) -> Iterator[str]:
    """Names at an ingress controller or gateway; a wildcard says nothing about the one name that was written."""
    ingress, route = proxy.spec.ingress, proxy.spec.http_route
    hosts = (*(ingress.hosts if ingress else ()), *(route.hostnames if route else ()))
    yield from (host for host in hosts if "*" not in host)
