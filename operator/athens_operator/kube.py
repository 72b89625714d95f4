"""The Cluster over HTTP: the official client for addresses, credentials and connections, plain dicts for bodies.

Typed models would add nulls and defaults that server-side apply would then own, so bodies stay what `desired`
rendered. Reads are not throttled, writes are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

from athens_operator.cluster import FIELD_MANAGER, Invalid, NotFound, Throttled, Unavailable, refusal
from athens_operator.manifests import Manifest, Ref, ref_of
from athens_operator.metrics import Metrics
from athens_operator.resources import LEASES, Resource, resource_of
from athens_operator.throttle import TokenBucket

REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=30)
PAGE_SIZE = 500
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON = "application/json"
REVIEW_VERSION, REVIEW_KIND = "authorization.k8s.io/v1", "SelfSubjectAccessReview"
KIND_OF_SCHEMA = "x-kubernetes-group-version-kind"
UNCHECKED = ("fieldValidation", "Ignore")
"""Warnings about fields that a server lacks are read by nobody; to look for them it would parse each body twice."""
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"


class KubeCluster:
    """One API server, reached with the credentials of a `Configuration`.

    Args:
        configuration: see `connection.connect`.
        metrics: counts every request by verb and status.
        user_agent: name and release of the operator, for the server's audit log.
    """

    def __init__(self, configuration: Configuration, metrics: Metrics, *, user_agent: str) -> None:
        self._client = ApiClient(configuration)
        self._configuration = configuration
        self._user_agent = user_agent
        self._metrics = metrics
        self._bucket = TokenBucket()

    async def close(self) -> None:
        """Give all connections back."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def apply(self, manifest: Manifest, *, subresource: str = "", manager: str = FIELD_MANAGER) -> Manifest:
        """See `Cluster.apply`."""
        ref = ref_of(manifest)
        path = _path_of(ref, subresource)
        query = [("fieldManager", manager), ("force", "true"), UNCHECKED]
        await self._turn(ref)
        return await self._call("PATCH", path, query, body=manifest, content_type=APPLY, doing=f"apply {ref}")

    async def merge(self, manifest: Manifest) -> Manifest:
        """See `Cluster.merge`."""
        ref = ref_of(manifest)
        path = _path_of(ref)
        query = [("fieldManager", FIELD_MANAGER), UNCHECKED]
        await self._bucket.take()
        return await self._call("PATCH", path, query, body=manifest, content_type=MERGE, doing=f"merge {ref}")

    async def create(self, manifest: Manifest, *, manager: str = FIELD_MANAGER) -> Manifest:
        """See `Cluster.create`."""
        ref = ref_of(manifest)
        path = resource_of(ref).path(namespace=ref.namespace)
        query = [("fieldManager", manager), UNCHECKED]
        await self._turn(ref)
        return await self._call("POST", path, query, body=manifest, doing=f"create {ref}")

    async def get(self, ref: Ref) -> Manifest:
        """See `Cluster.get`."""
        try:
            path = _path_of(ref)
        except Invalid as error:
            raise NotFound(str(error)) from error
        return await self._call("GET", path, [], doing=f"read {ref}")

    async def list_all(
        self, resource: Resource, *, namespaces: Sequence[str] = (), label: str = "", metadata_only: bool = False
    ) -> list[Manifest]:
        """See `Cluster.list_all`."""
        found: list[Manifest] = []
        for namespace in namespaces or ("",):
            found += await self._pages(resource, namespace, label=label, metadata_only=metadata_only)
        return found

    async def delete(self, ref: Ref, *, uid: str) -> None:
        """See `Cluster.delete`."""
        path = _path_of(ref)
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        await self._bucket.take()
        try:
            await self._call("DELETE", path, [], body=body, doing=f"delete {ref}")
        except NotFound:
            return

    async def schemas(self, api_version: str) -> Mapping[str, Manifest]:
        """See `Cluster.schemas`."""
        try:
            document = await self._call(
                "GET", f"/openapi/v3/apis/{api_version}", [], doing=f"read {api_version}'s schemas"
            )
        except NotFound:
            return {}
        schemas: Mapping[str, Manifest] = document.get("components", {}).get("schemas", {})
        return {kind["kind"]: schema for schema in schemas.values() for kind in schema.get(KIND_OF_SCHEMA) or ()}

    async def may(
        self, verb: str, resource: Resource, *, namespace: str = "", name: str = "", subresource: str = ""
    ) -> bool:
        """See `Cluster.may`."""
        wanted = {
            "verb": verb,
            "group": resource.group,
            "resource": resource.plural,
            "subresource": subresource,
            "namespace": namespace,
            "name": name,
        }
        body = {"apiVersion": REVIEW_VERSION, "kind": REVIEW_KIND, "spec": {"resourceAttributes": wanted}}
        path = f"/apis/{REVIEW_VERSION}/selfsubjectaccessreviews"
        answer = await self._call("POST", path, [], body=body, doing=f"ask for the right to {verb} {resource.plural}")
        return bool((answer.get("status") or {}).get("allowed"))

    async def _turn(self, ref: Ref) -> None:
        """Wait until a write is due; the Lease never waits, or a pause would cost the right to write."""
        if ref.kind != LEASES.kind:
            await self._bucket.take()

    async def _pages(self, resource: Resource, namespace: str, *, label: str, metadata_only: bool) -> list[Manifest]:
        query = [("limit", str(PAGE_SIZE))] + ([("labelSelector", label)] if label else [])
        accept = METADATA_ONLY if metadata_only else JSON
        found: list[Manifest] = []
        token = ""
        while True:
            page = await self._call(
                "GET",
                resource.path(namespace=namespace),
                [*query, ("continue", token)] if token else query,
                accept=accept,
                doing=f"list {resource.plural}",
            )
            found += [_complete(item, resource) for item in page.get("items") or ()]
            token = (page.get("metadata") or {}).get("continue") or ""
            if not token:
                return found

    async def _call(
        self,
        verb: str,
        path: str,
        query: list[tuple[str, str]],
        *,
        doing: str,
        body: Manifest | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Manifest:
        try:
            status, answer, headers = await self._send(
                verb, path, query, body, {"Accept": accept, "Content-Type": content_type}, doing
            )
            if 200 <= status < 300:
                self._bucket.succeeded()
                return dict(json.loads(answer))
            raise refusal(status, answer, headers, doing=doing)
        except Throttled as error:
            self._bucket.pause(error.retry_after_s)
            raise
        except Unavailable:
            self._bucket.failed()
            raise

    async def _send(
        self,
        verb: str,
        path: str,
        query: list[tuple[str, str]],
        body: Manifest | None,
        headers: dict[str, str],
        doing: str,
    ) -> tuple[int, bytes, Any]:
        code = "none"
        try:
            url = f"{self._configuration.host}{path}{'?' if query else ''}{urlencode(query, quote_via=quote)}"
            token = await self._configuration.get_api_key_with_prefix("BearerToken")  # read anew when it was renewed
            described = {**headers, "User-Agent": self._user_agent, **({"Authorization": token} if token else {})}
            response = await self._client.call_api(verb, url, described, body, _request_timeout=REQUEST_TIMEOUT)
            code = str(response.status)
            return response.status, await response.read(), response.headers  # type: ignore[no-untyped-call]
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{doing}: {type(error).__name__}: {error}") from error
        finally:
            counted = "REVIEW" if path.endswith("/selfsubjectaccessreviews") else verb  # a question, not a write
            self._metrics.api_requests.labels(verb=counted, code=code).inc()


def _path_of(ref: Ref, subresource: str = "") -> str:
    """The address of an object, never of another one: names come from users, and the API server resolves `..`.

    Quoting is not enough, since the server decodes a slash before it takes the path apart.

    Source: https://pkg.go.dev/k8s.io/apimachinery/pkg/api/validation/path

    Raises:
        Invalid: no object can have that name.
    """
    for name in (ref.namespace, ref.name):
        if name in (".", "..") or "/" in name or "%" in name:
            raise Invalid(f"find {ref}: no object can have such a name")
    return quote(resource_of(ref).path(namespace=ref.namespace, name=ref.name, subresource=subresource))


def _complete(item: Manifest, resource: Resource) -> Manifest:
    """Items of a list lack kind and version; metadata-only ones carry those of the list format."""
    return {**item, "apiVersion": resource.api_version, "kind": resource.kind}
