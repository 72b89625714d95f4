"""A small synchronous client for tests: plain dicts, the server's own error texts, and waiting with a deadline."""

from __future__ import annotations

import contextlib
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from athens_operator.manifests import Manifest, Ref, ref_of
from athens_operator.resources import KNOWN, Resource

NAMESPACE = Resource("v1", "Namespace", "namespaces", namespaced=False)
CRD = Resource("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False)
VOLUME = Resource("v1", "PersistentVolume", "persistentvolumes", namespaced=False)
RBAC = "rbac.authorization.k8s.io/v1"
RIGHTS = (
    Resource(RBAC, "ClusterRole", "clusterroles", namespaced=False),
    Resource(RBAC, "ClusterRoleBinding", "clusterrolebindings", namespaced=False),
    Resource(RBAC, "Role", "roles"),
    Resource(RBAC, "RoleBinding", "rolebindings"),
)
RESOURCES = {**KNOWN, **{(found.api_version, found.kind): found for found in (NAMESPACE, CRD, VOLUME, *RIGHTS)}}
POLL_S = 0.05


class Refused(Exception):
    """The API server answered with an error; the text is its message."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class KubeApi:
    """One API server, as its administrator.

    Args:
        url: base address.
        token: bearer token.
        ca: PEM file.
    """

    def __init__(self, url: str, token: str, ca: Path) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}", "User-Agent": "a-person"}
        self._tls = ssl.create_default_context(cafile=str(ca))

    def call(self, verb: str, path: str, body: object = None, *, content_type: str = "application/json") -> Manifest:
        """One request; raises Refused."""
        data = None if body is None else json.dumps(body).encode()
        headers = {**self._headers, "Content-Type": content_type}
        request = urllib.request.Request(self._url + path, data=data, method=verb, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._tls) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            with contextlib.suppress(ValueError, KeyError):
                text = json.loads(text)["message"]
            raise Refused(error.code, text) from None

    def create(self, manifest: Manifest) -> Manifest:
        """POST an object; the server prunes nothing silently."""
        resource, ref = _where(manifest)
        return self.call("POST", resource.path(namespace=ref.namespace) + "?fieldValidation=Strict", manifest)

    def edit(self, manifest: Manifest, *, subresource: str = "", manager: str = "kubectl-edit") -> Manifest:
        """Merge fields into an object, as a person with an editor would."""
        resource, ref = _where(manifest)
        path = resource.path(namespace=ref.namespace, name=ref.name, subresource=subresource)
        return self.call(
            "PATCH", f"{path}?fieldManager={manager}", manifest, content_type="application/merge-patch+json"
        )

    def get(self, ref: Ref) -> Manifest | None:
        """One object, or None."""
        resource = RESOURCES[ref.api_version, ref.kind]
        try:
            return self.call("GET", resource.path(namespace=ref.namespace, name=ref.name))
        except Refused as error:
            if error.status == 404:
                return None
            raise

    def list(self, resource: Resource, namespace: str = "", *, label: str = "") -> list[Manifest]:
        """All objects of a kind, with kind and version filled in."""
        query = f"?labelSelector={label}" if label else ""
        found = self.call("GET", resource.path(namespace=namespace) + query)["items"]
        return [{**item, "apiVersion": resource.api_version, "kind": resource.kind} for item in found]

    def delete(self, ref: Ref, *, propagation: str = "Background") -> None:
        """Delete an object; gone already is fine."""
        resource = RESOURCES[ref.api_version, ref.kind]
        path = resource.path(namespace=ref.namespace, name=ref.name)
        try:
            self.call("DELETE", path, {"propagationPolicy": propagation})
        except Refused as error:
            if error.status != 404:
                raise


def until(look: Callable[[], Any], what: str, *, within_s: float = 60.0, context: Callable[[], object] = str) -> Any:
    """The first true answer of `look`.

    Args:
        look: asked again and again.
        what: what is waited for, for the message.
        within_s: the deadline.
        context: asked for the last state of things when the deadline passes.
    """
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {within_s:g} s; last seen: {context()}")
        time.sleep(POLL_S)


def condition(body: Manifest | None, kind: str) -> dict[str, Any]:
    """A condition of an object's status; empty when there is none."""
    conditions = ((body or {}).get("status") or {}).get("conditions") or ()
    return next((dict(entry) for entry in conditions if entry["type"] == kind), {})


def _where(manifest: Manifest) -> tuple[Resource, Ref]:
    ref = ref_of(manifest)
    return RESOURCES[ref.api_version, ref.kind], ref
