"""The claim that holds the modules."""

from __future__ import annotations

from athens_operator.desired.inputs import Inputs
from athens_operator.desired.names import claim_name, metadata
from athens_operator.manifests import Manifest
from athens_operator.spec.fields import StorageDeletion
from athens_operator.spec.proxy import ANNOTATION_PREFIX, AthensProxy

RETAINED_FROM = ANNOTATION_PREFIX + "retained-from"
SINGLE_NODE_MODES = ("ReadWriteOnce", "ReadWriteOncePod")


def persistent_volume_claim(proxy: AthensProxy, inputs: Inputs) -> Manifest | None:
    """The claim that we make, or None.

    Unless its deletion is asked for it carries no owner reference: it outlives the proxy, and a new proxy of the same
    name takes it over.
    """
    claim = proxy.claim
    if claim is None:
        return None
    described = metadata(proxy, inputs, name=claim_name(proxy))
    if proxy.spec.deletion_policy.storage is StorageDeletion.RETAIN:
        del described["ownerReferences"]
        described["annotations"] = {**proxy.spec.inherited_metadata.annotations, RETAINED_FROM: proxy.uid}
    storage_class = {} if claim.storage_class_name is None else {"storageClassName": claim.storage_class_name}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": described,
        "spec": {
            "accessModes": list(claim.access_modes),
            **storage_class,
            "resources": {"requests": {"storage": claim.size}},
        },
    }


def on_one_node(proxy: AthensProxy, inputs: Inputs) -> bool:
    """Whether the pods share a claim that only one node can mount, so that two pods cannot start on two nodes."""
    if proxy.claim is not None:
        modes = proxy.claim.access_modes
    elif proxy.existing_claim:
        modes = SINGLE_NODE_MODES if inputs.claim_access_modes is None else inputs.claim_access_modes
    else:
        return False
    return all(mode in SINGLE_NODE_MODES for mode in modes)
