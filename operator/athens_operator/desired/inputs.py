"""What reaches the children from outside the AthensProxy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HeldReplicas:
    """The number in a live Deployment that nobody but us has written.

    A field that its only writer leaves out falls back to its default, one pod; so it is sent as it is until the
    autoscaler writes it, each time for exactly the version that was seen.
    """

    count: int
    resource_version: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """The operator's settings and the cluster facts that rendering depends on.

    Args:
        default_image: image of the proxy when the spec names none, with tag or digest.
        operator_version: the operator's own release, such as `v0.1.0`.
        cluster_domain: domain behind `.svc` in Service names.
        service_ranges: networks of the cluster's Service addresses; empty when unknown.
        secrets_hash: keyed hash over the referenced Secret keys; empty when none is referenced.
        operator_namespace: where the operator runs, so that a NetworkPolicy admits it; empty when unknown.
        restricted_tenancy: pods get a NetworkPolicy unless the spec says otherwise.
        served: optional kinds that the cluster serves, such as HTTPRoute.
        held_replicas: the pods to ask for while an autoscaler has not taken over; None once it has.
        claim_access_modes: access modes of the claim that `existingClaim` names, as the cluster has them; None while
            unknown, which is treated as ReadWriteOnce.
    """

    default_image: str
    operator_version: str = ""
    cluster_domain: str = "cluster.local"
    service_ranges: tuple[str, ...] = ()
    secrets_hash: str = ""
    operator_namespace: str = ""
    restricted_tenancy: bool = False
    served: frozenset[str] = frozenset()
    held_replicas: HeldReplicas | None = None
    claim_access_modes: tuple[str, ...] | None = None
