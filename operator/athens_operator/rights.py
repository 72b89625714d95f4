"""Asks the API server whether the operator has the rights that it is shipped with, so that a missing one has a name.

A right that is missing switches off what needs it and nothing else; without this list it would show as a failure of
some object, sometime. Kinds that a cluster may lack are not asked for.

Source: https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import NamedTuple

from athens_operator.cluster import Cluster
from athens_operator.resources import (
    CHILDREN,
    CLAIMS,
    CLUSTER_POLICIES,
    EVENTS,
    LEASES,
    NAMESPACES,
    PODS,
    POLICIES,
    PROXIES,
    REPLICA_SETS,
    SECRETS,
    Resource,
)
from athens_operator.secrets import STATE_NAME
from athens_operator.settings import Feature, SecretAccess, Settings

READ = ("get", "list", "watch")
WRITE = ("create", "patch")
AT_ONCE = 8


class Right(NamedTuple):
    """One verb on one kind.

    Args:
        namespace: where; empty for the whole cluster.
        name: of the one object that it is about; empty for all.
    """

    resource: Resource
    subresource: str
    namespace: str
    name: str
    verb: str

    @property
    def subject(self) -> str:
        """Kind and place, as a role names them."""
        group = f".{self.resource.group}" if self.resource.group else ""
        kind = f"{self.resource.plural}{group}" + (f"/{self.subresource}" if self.subresource else "")
        return f"{kind} in namespace {self.namespace}" if self.namespace else kind


def needed(settings: Settings) -> Iterator[Right]:
    """Every right that the settings ask for."""
    reads_secrets = settings.secret_access is SecretAccess.GET
    makes_secrets = Feature.GENERATED_SECRETS in settings.features
    for namespace in settings.watch_namespaces or ("",):
        yield from (Right(SECRETS, "", namespace, "", verb) for verb in WRITE if makes_secrets)
        for resource, subresource, verbs in _where_proxies_are(reads_secrets=reads_secrets):
            yield from (Right(resource, subresource, namespace, "", verb) for verb in verbs)
    if settings.cluster_wide:
        yield from (Right(NAMESPACES, "", "", "", verb) for verb in READ)
        yield from (Right(CLUSTER_POLICIES, "", "", "", verb) for verb in READ)
        yield Right(CLUSTER_POLICIES, "status", "", "", "patch")
    yield from (Right(LEASES, "", settings.namespace, settings.lease_name, verb) for verb in ("get", "patch"))
    yield Right(LEASES, "", settings.namespace, "", "create")
    if reads_secrets:
        yield from (Right(SECRETS, "", settings.namespace, STATE_NAME, verb) for verb in ("get", "patch"))
        yield Right(SECRETS, "", settings.namespace, "", "create")


async def missing_rights(cluster: Cluster, settings: Settings, *, known: Collection[Resource]) -> tuple[str, ...]:
    """What the operator lacks, a line for each kind and place, such as `services: create and patch`.

    Args:
        cluster: who to ask.
        settings: what the operator is to do.
        known: kinds whose absence is told elsewhere.

    Raises:
        ClusterError: the API server could not be asked.
    """
    wanted = [right for right in needed(settings) if right.resource not in known]
    slots = asyncio.Semaphore(AT_ONCE)

    async def may(right: Right) -> bool:
        async with slots:
            return await cluster.may(
                right.verb, right.resource, namespace=right.namespace, name=right.name, subresource=right.subresource
            )

    lacking: dict[str, list[str]] = defaultdict(list)
    for right, granted in zip(wanted, await asyncio.gather(*map(may, wanted)), strict=True):
        if not granted:
            lacking[right.subject].append(right.verb)
    return tuple(f"{subject}: {_listed(verbs)}" for subject, verbs in sorted(lacking.items()))


def _where_proxies_are(*, reads_secrets: bool) -> Iterator[tuple[Resource, str, tuple[str, ...]]]:
    for resource in (PROXIES, POLICIES):
        yield resource, "", READ
        yield resource, "status", ("patch",)
    for resource in CHILDREN:
        yield resource, "", (*READ, *WRITE, *(() if resource is CLAIMS else ("delete",)))
    yield PODS, "", (*READ, "patch")
    yield REPLICA_SETS, "", READ
    yield EVENTS, "", ("create",)
    if reads_secrets:
        yield SECRETS, "", ("get",)


def _listed(verbs: list[str]) -> str:
    return verbs[0] if len(verbs) == 1 else f"{', '.join(verbs[:-1])} and {verbs[-1]}"
