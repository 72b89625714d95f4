"""What reaches the children from outside the AthensProxy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Inputs:
    """The operator's settings and the cluster facts that rendering depends on.

    Args:
        default_image: image of the proxy when the spec names none, with tag or digest.
        operator_version: the operator's own release, such as `v0.1.0`.
        cluster_domain: domain behind `.svc` in Service names.
        secrets_hash: keyed hash over the referenced Secret keys; empty when none is referenced.
        claim_access_modes: access modes of the claim that `existingClaim` names, as the cluster has them; None while
            unknown, which is treated as ReadWriteOnce.
    """

    default_image: str
    operator_version: str = ""
    cluster_domain: str = "cluster.local"
    secrets_hash: str = ""
    claim_access_modes: tuple[str, ...] | None = None
