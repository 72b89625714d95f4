"""The cluster as the operator needs it: a Protocol, and what can go wrong in the operator's own words.

`kube.py` holds the one implementation that talks to an API server; tests of single parts pass a small fake.
`refusal` is the table from an answer of the API server to an error class; nothing else judges status codes.

ClusterError (errors.py)
├── NotFound             the object, its namespace or its kind does not exist
├── Conflict             somebody was faster, or the object is not the one we knew; asking again helps
├── Invalid              permanent for this generation: a person must change something
│   └── Immutable        a field cannot change; only an object made anew can have the wanted value
├── Forbidden            a right is missing; asking again helps once it is granted
├── NamespaceTerminating the namespace is going away; drop the work
├── Throttled            the server asks for a pause of `retry_after_s`, which holds for every request
└── Unavailable          no answer, or a failure of the server itself

Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/ and measurements against 1.36.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from athens_operator.errors import ClusterError
from athens_operator.manifests import Manifest, Ref
from athens_operator.resources import Resource

FIELD_MANAGER = "athens-operator"
MESSAGE_LIMIT = 300


class NotFound(ClusterError):
    """The object, its namespace or its kind does not exist."""

    def __init__(self, message: str) -> None:
        super().__init__(message, transient=False)


class Conflict(ClusterError):
    """Somebody wrote in between, or the object is a namesake of the one we knew."""

    def __init__(self, message: str) -> None:
        super().__init__(message, transient=True)


class Invalid(ClusterError):
    """The API server will refuse the same request for ever."""

    def __init__(self, message: str) -> None:
        super().__init__(message, transient=False)


class Immutable(Invalid):
    """A field of the live object differs from the wanted one and can never be changed."""


class Forbidden(ClusterError):
    """A right, a quota or an admission rule stands in the way; it may be changed without touching our objects."""

    def __init__(self, message: str) -> None:
        super().__init__(message, transient=True)


class NamespaceTerminating(ClusterError):
    """The namespace is going away; nothing more can be created in it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, transient=False)


class Throttled(ClusterError):
    """The server is overloaded and asks everybody to wait.

    Args:
        retry_after_s: seconds that the server asked for.
    """

    def __init__(self, message: str, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message, transient=True)


class Unavailable(ClusterError):
    """The API server did not answer or failed by itself."""

    def __init__(self, message: str) -> None:
        super().__init__(message, transient=True)


class Cluster(Protocol):
    """What the operator may do to a cluster. Every method raises a `ClusterError` of the tree above."""

    async def apply(self, manifest: Manifest, *, subresource: str = "", manager: str = FIELD_MANAGER) -> Manifest:
        """Server-side apply, taking over conflicting fields; the object as it is now.

        Raises:
            NotFound: the namespace, or with a subresource the object, does not exist.
            Conflict: `metadata.uid` or `metadata.resourceVersion` of the manifest is not that of the live object.
        """
        ...

    async def merge(self, manifest: Manifest) -> Manifest:
        """JSON merge patch: the given fields become exactly as given, whole lists included, whoever owns them.

        Raises:
            NotFound: the object does not exist.
            Conflict: `metadata.uid` of the manifest is not that of the live object.
        """
        ...

    async def create(self, manifest: Manifest, *, manager: str = FIELD_MANAGER) -> Manifest:
        """Create the object; raises Conflict when it exists."""
        ...

    async def get(self, ref: Ref) -> Manifest:
        """One object; raises NotFound."""
        ...

    async def list_all(
        self, resource: Resource, *, namespaces: Sequence[str] = (), label: str = "", metadata_only: bool = False
    ) -> list[Manifest]:
        """All objects of a kind, of the whole cluster or of the given namespaces, without managed fields.

        Args:
            resource: the kind.
            namespaces: empty for the whole cluster.
            label: only objects that carry this label key.
            metadata_only: leave out everything but `metadata`.
        """
        ...

    async def delete(self, ref: Ref, *, uid: str) -> None:
        """Delete exactly that object. Gone already is success; a namesake raises Conflict."""
        ...

    async def schemas(self, api_version: str) -> Mapping[str, Manifest]:
        """The OpenAPI schemas that are served for a group and version, by kind; empty when it is not served."""
        ...

    async def may(
        self, verb: str, resource: Resource, *, namespace: str = "", name: str = "", subresource: str = ""
    ) -> bool:
        """Whether the operator has a right; an empty namespace is the whole cluster, an empty name all objects."""
        ...


MEANING: Final[Mapping[int, type[NotFound | Conflict | Forbidden | Unavailable]]] = {
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    410: Unavailable,  # a list that took longer than its version was kept: start again
}


def refusal(status: int, body: bytes, headers: Mapping[str, str], *, doing: str) -> ClusterError:
    """The error that an answer of the API server means.

    Args:
        status: HTTP status, not 2xx.
        body: the answer, usually a `v1.Status`.
        headers: of the answer, for Retry-After.
        doing: what was attempted, on what.
    """
    answer = _status(body)
    message = str(answer.get("message") or body[:MESSAGE_LIMIT].decode(errors="replace"))[:MESSAGE_LIMIT]
    text = f"{doing}: {message or f'HTTP {status}'}"
    causes = (answer.get("details") or {}).get("causes") or ()
    if status == 429:
        return Throttled(text, _seconds(headers.get("Retry-After"), default=1.0))
    if status == 403 and any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
        return NamespaceTerminating(text)
    if status == 422 and any(cause.get("field") == "metadata.uid" for cause in causes):
        return Conflict(text)
    if status == 422 and "field is immutable" in message:
        return Immutable(text)
    if status == 500 and "failed to create typed patch object" in message:
        return Invalid(text)  # a malformed object, answered as if the server were at fault
    return MEANING.get(status, Unavailable if status >= 500 else Invalid)(text)


def _status(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) and answer.get("kind") == "Status" else {}


def _seconds(text: str | None, *, default: float) -> float:
    return float(text) if text and text.isdecimal() else default
