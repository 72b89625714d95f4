"""Names, labels, owner reference: what all children of one proxy have in common (operator-wide constants included)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from athens_operator.desired.image import version_of
from athens_operator.desired.inputs import Inputs
from athens_operator.manifests import MANAGED_BY, MANAGED_BY_LABEL, PROXY_LABEL, Manifest
from athens_operator.spec.proxy import AthensProxy

API_VERSION = "athensproxy.dev/v1beta1"
COMPONENT_LABEL = "app.kubernetes.io/component"
LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def selector(proxy: AthensProxy) -> dict[str, str]:
    """The labels by which Deployment and Service find the pods; immutable in a Deployment, so they never change."""
    return {PROXY_LABEL: proxy.name, COMPONENT_LABEL: "proxy"}


def labels(proxy: AthensProxy, inputs: Inputs) -> dict[str, str]:
    """The labels of every child; `instance` is left to Argo CD, and the proxy's own labels are not copied."""
    version = version_of(proxy, inputs)
    return {
        **selector(proxy),
        "app.kubernetes.io/name": "athens",
        "app.kubernetes.io/part-of": "go-module-proxy",
        MANAGED_BY_LABEL: MANAGED_BY,
        **({"app.kubernetes.io/version": version} if LABEL_VALUE.fullmatch(version) else {}),
    }


def owner_reference(proxy: AthensProxy) -> Manifest:
    """What makes the garbage collector delete a child with its proxy.

    `blockOwnerDeletion` stays false: true needs rights on `finalizers` where the API server checks them.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": "AthensProxy",
        "name": proxy.name,
        "uid": proxy.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def metadata(
    proxy: AthensProxy,
    inputs: Inputs,
    *,
    name: str,
    extra_labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """The metadata of an owned child; our own labels beat extra ones."""
    inherited = proxy.spec.inherited_metadata
    noted = {**inherited.annotations, **(annotations or {})}
    return {
        "name": name,
        "namespace": proxy.namespace,
        "labels": {**inherited.labels, **(extra_labels or {}), **labels(proxy, inputs)},
        **({"annotations": noted} if noted else {}),
        "ownerReferences": [owner_reference(proxy)],
    }


def policy_name(proxy: AthensProxy) -> str:
    """The one mutable ConfigMap."""
    return f"{proxy.name}-policy"


def claim_name(proxy: AthensProxy) -> str:
    """The claim that holds the modules: the named one, or the one we make; empty when storage needs none."""
    if proxy.claim is not None:
        return f"{proxy.name}-data"
    return proxy.existing_claim


def service_account_name(proxy: AthensProxy) -> str:
    """The ServiceAccount of the pods, made by us or not."""
    return proxy.spec.service_account.name or proxy.name


def service_name(proxy: AthensProxy) -> str:
    """The Service in front of the pods."""
    return proxy.spec.service.name or proxy.name


def scheme(proxy: AthensProxy) -> str:
    """What the pods speak; also the name of their port."""
    return "https" if proxy.spec.tls else "http"


def service_port(proxy: AthensProxy) -> int:
    """The port of the Service."""
    return proxy.spec.service.port or (443 if proxy.spec.tls else 80)


def url(proxy: AthensProxy, host: str) -> str:
    """The address of the proxy on a host that leads to the Service's port, as a client writes it into GOPROXY."""
    usual = 443 if proxy.spec.tls else 80
    port = "" if service_port(proxy) == usual else f":{service_port(proxy)}"
    return f"{scheme(proxy)}://{host}{port}{proxy.spec.server.path_prefix}"


def service_host(proxy: AthensProxy, inputs: Inputs) -> str:
    """The full name of the Service inside the cluster."""
    return f"{service_name(proxy)}.{proxy.namespace}.svc.{inputs.cluster_domain}"


def service_url(proxy: AthensProxy, inputs: Inputs) -> str:
    """The address of the proxy inside the cluster, as a client writes it into GOPROXY."""
    return url(proxy, service_host(proxy, inputs))


def ingress_urls(proxy: AthensProxy) -> list[str]:
    """The addresses of the proxy at an ingress controller; those of a gateway depend on its listeners."""
    ingress = proxy.spec.ingress
    if ingress is None:
        return []
    before = "https" if ingress.tls else "http"
    return [f"{before}://{host}{proxy.spec.server.path_prefix}" for host in ingress.hosts]
