"""Whether the API server serves schemas that are new enough: every field that this operator reads or writes is there.

An older schema drops the users' new fields without a word, and refuses a status with fields that it does not know. So
an operator that comes before its CustomResourceDefinitions are brought up to date ends and says what to run. A newer
schema is no obstacle. The schema is taken from the API server's OpenAPI document, which everybody may read.

Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from athens_operator.cluster import Cluster
from athens_operator.errors import ClusterError, OperatorError
from athens_operator.policies import Content, Reach
from athens_operator.resources import CLUSTER_POLICIES, POLICIES, PROXIES, Resource
from athens_operator.spec.fields import ProxySpec
from athens_operator.spec.values import Spec

logger = logging.getLogger(__name__)

PUBLISHED_WITHIN_S = 5.0  # a schema that was just applied shows up in the document a moment later
LOOK_EVERY_S = 1.0
SHOWN = 5
UPDATE = "kubectl apply -f deploy/install.yaml (or helm upgrade, with crds.enabled), then restart the operator"

_POLICY_STATUS: Final = (
    "attachedProxies conditions digest observedGeneration programmedProxies proxies revision rules summary truncated "
    "proxies.conflicts proxies.digest proxies.name proxies.namespace proxies.programmed proxies.state"
)
_PROXY_STATUS: Final = (
    "client conditions configHash endpoints image lastHandledReconcileAt missingCapabilities "
    "observedGeneration phase policy readyReplicas replicas selector storage updatedReplicas version "
    "client.goproxy client.gonosumdb endpoints.internal endpoints.external "
    "policy.bytes policy.conflicts policy.defaultMode policy.digest policy.lagging policy.programmed policy.revision "
    "policy.rules policy.sources policy.truncated policy.conflicts.by policy.conflicts.class policy.conflicts.pattern "
    "policy.conflicts.rule policy.lagging.digest policy.lagging.error policy.lagging.pod policy.sources.generation "
    "policy.sources.kind policy.sources.name policy.sources.namespace policy.sources.rules policy.sources.tier "
    "credentials credentials.expires credentials.name credentials.state "
    "prefetch prefetch.failed prefetch.succeeded prefetch.total "
    "storage.capacity storage.claimName storage.requestedCapacity storage.sharedWith storage.type"
)
STATUS_FIELDS: Final[Mapping[Resource, frozenset[str]]] = {
    PROXIES: frozenset(_PROXY_STATUS.split()),
    POLICIES: frozenset(_POLICY_STATUS.split()),
    CLUSTER_POLICIES: frozenset(_POLICY_STATUS.split()),
}
"""What the operator writes, items of lists without brackets; tests hold it against the schema files."""
_OF_THE_OTHER_KIND: Final[Mapping[Resource, frozenset[str]]] = {
    POLICIES: frozenset({"enforcement", "namespaceSelector", "advisories.configMapRef.namespace"}),
    CLUSTER_POLICIES: frozenset({"shareWith"}),
}


class SchemaTooOld(OperatorError):
    """The API server serves a schema that lacks fields of this release."""


async def require_schemas(cluster: Cluster, *, cluster_wide: bool) -> None:
    """Return once every served schema is at least as new as this operator.

    A document that cannot be read is no reason to stop: what is wrong will show at the objects.

    Raises:
        SchemaTooOld: fields are missing; the message names them and the command to run.
    """
    kinds = (PROXIES, POLICIES, CLUSTER_POLICIES) if cluster_wide else (PROXIES, POLICIES)
    deadline = asyncio.get_running_loop().time() + PUBLISHED_WITHIN_S
    while True:
        try:
            served = await cluster.schemas(PROXIES.api_version)
        except ClusterError as error:
            logger.warning("cannot see how old the served schemas are: %s", error)
            return
        missing = [line for kind in kinds if (line := missing_fields(kind, served.get(kind.kind)))]
        if not missing:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise SchemaTooOld(f"the served schemas are older than this operator: {'; '.join(missing)}. Run: {UPDATE}")
        await asyncio.sleep(LOOK_EVERY_S)


def missing_fields(resource: Resource, schema: Mapping[str, Any] | None) -> str:
    """What a served schema lacks, as one line; empty when it lacks nothing."""
    if schema is None:
        return f"{resource.plural} are not published"
    absent = set(wanted_fields(resource)).difference(_paths(schema))
    lacking = sorted(path for path in absent if path.rpartition(".")[0] not in absent)
    if not lacking:
        return ""
    more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
    return f"{resource.plural} lack {', '.join(lacking[:SHOWN])}{more}"


def wanted_fields(resource: Resource) -> Iterator[str]:
    """The fields that this operator reads and writes, such as `spec.storage.type`; items of lists without brackets."""
    for field in STATUS_FIELDS[resource]:
        yield f"status.{field}"
    others = _OF_THE_OTHER_KIND.get(resource, ())
    for model in (ProxySpec,) if resource is PROXIES else (Reach, Content):
        yield from (f"spec.{path}" for path in _fields(model) if not any(_is_within(path, other) for other in others))


def _fields(model: type[Spec], parent: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        path = f"{parent}{field.alias or name}"
        yield path
        for inner in _models(field.annotation):
            yield from _fields(inner, f"{path}.")


def _is_within(path: str, parent: str) -> bool:
    return path == parent or path.startswith(f"{parent}.")


def _models(annotation: Any) -> Iterator[type[Spec]]:
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType, tuple):
        for inner in get_args(annotation):
            yield from _models(inner)


def _paths(schema: Mapping[str, Any], parent: str = "") -> Iterator[str]:
    """Every field of a schema, those of items under the list's own name."""
    for name, child in (schema.get("properties") or {}).items():
        yield f"{parent}{name}"
        yield from _paths(child, f"{parent}{name}.")
    if isinstance(schema.get("items"), Mapping):
        yield from _paths(schema["items"], parent)
