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
    return {
        "name": name,
        "namespace": proxy.namespace,
        "labels": {**(extra_labels or {}), **labels(proxy, inputs)},
        **({"annotations": dict(annotations)} if annotations else {}),
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


def service_url(proxy: AthensProxy, inputs: Inputs) -> str:
    """The address of the proxy inside the cluster, as a client writes it into GOPROXY."""
    host = f"{service_name(proxy)}.{proxy.namespace}.svc.{inputs.cluster_domain}"
    port = "" if proxy.spec.service.port == 80 else f":{proxy.spec.service.port}"
    return f"http://{host}{port}{proxy.spec.server.path_prefix}"
