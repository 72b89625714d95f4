"""How a Deployment's number of pods passes from us to an autoscaler. Pure."""

from __future__ import annotations

from athens_operator.cluster import FIELD_MANAGER
from athens_operator.desired.inputs import HeldReplicas
from athens_operator.manifests import Manifest
from athens_operator.spec import AthensProxy


def held_replicas(proxy: AthensProxy, deployment: Manifest | None) -> HeldReplicas | None:
    """The number that has to be sent on while nobody but us has written it; None once somebody has.

    A Deployment scaled to zero is none that an autoscaler would touch, so it starts with the least number.
    """
    autoscaling = proxy.spec.autoscaling
    if autoscaling is None or deployment is None:
        return None
    metadata = deployment["metadata"]
    writers = {
        entry.get("manager")
        for entry in metadata.get("managedFields") or ()
        if "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    }
    if writers != {FIELD_MANAGER}:
        return None
    return HeldReplicas(max(deployment["spec"].get("replicas", 1), autoscaling.least), metadata["resourceVersion"])
