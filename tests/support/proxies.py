"""Custom resources as tests write them, and the identities of their children."""

from __future__ import annotations

from typing import Any

from athens_operator.manifests import Manifest, Ref
from athens_operator.resources import (
    API_VERSION,
    CONFIG_MAPS,
    DEPLOYMENTS,
    POLICIES,
    PROXIES,
    SERVICE_ACCOUNTS,
    SERVICES,
)


def proxy(namespace: str, name: str = "go", **spec: Any) -> Manifest:
    """An AthensProxy with in-memory storage unless the spec says otherwise."""
    metadata = {"namespace": namespace, "name": name, "labels": spec.pop("labels", {})}
    whole = {"storage": {"type": "memory", "memory": {}}, **spec}
    return {"apiVersion": API_VERSION, "kind": PROXIES.kind, "metadata": metadata, "spec": whole}


def policy(namespace: str, name: str = "base", *rules: Manifest, **spec: Any) -> Manifest:
    """A DownloadPolicy for every proxy of its namespace."""
    metadata = {"namespace": namespace, "name": name}
    whole = {"proxySelector": {}, "rules": list(rules), **spec}
    return {"apiVersion": API_VERSION, "kind": POLICIES.kind, "metadata": metadata, "spec": whole}


def deny(pattern: str, *, name: str = "no", reason: str = "") -> Manifest:
    """A rule that refuses everything under a pattern."""
    return {"name": name, "patterns": [pattern], "mode": "deny", **({"reason": reason} if reason else {})}


def proxy_ref(namespace: str, name: str = "go") -> Ref:
    return PROXIES.ref(namespace, name)


def deployment_ref(namespace: str, name: str = "go") -> Ref:
    return DEPLOYMENTS.ref(namespace, name)


def service_ref(namespace: str, name: str = "go") -> Ref:
    return SERVICES.ref(namespace, name)


def account_ref(namespace: str, name: str = "go") -> Ref:
    return SERVICE_ACCOUNTS.ref(namespace, name)


def policy_file_ref(namespace: str, name: str = "go") -> Ref:
    return CONFIG_MAPS.ref(namespace, f"{name}-policy")
