"""Kubernetes objects as plain dicts: their identity, whose they are, and which of them are left over. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Manifest = dict[str, Any]

PROXY_LABEL = "athensproxy.dev/proxy"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "athens-operator"


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """The identity of one object, apart from its uid."""

    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def ref_of(manifest: Mapping[str, Any]) -> Ref:
    """The identity of a manifest; the namespace is empty for cluster-scoped objects."""
    metadata = manifest["metadata"]
    return Ref(manifest["apiVersion"], manifest["kind"], metadata.get("namespace", ""), metadata["name"])


def is_owned_by(live: Mapping[str, Any], uid: str) -> bool:
    """Whether the object carries our owner reference to exactly this AthensProxy, not to a namesake before it."""
    owners = live["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == uid and owner.get("controller") is True for owner in owners)


def may_write(live: Mapping[str, Any], *, uid: str, name: str) -> bool:
    """Whether an existing object under a child's name is ours to write.

    That is so for what we own, and for a claim that an earlier proxy of this name left behind: kept claims carry our
    labels and no owner. Everything else is somebody else's and is reported as ChildConflict, never touched.
    """
    if is_owned_by(live, uid):
        return True
    metadata = live["metadata"]
    labels = metadata.get("labels") or {}
    return (
        live["kind"] == "PersistentVolumeClaim"
        and not metadata.get("ownerReferences")
        and labels.get(PROXY_LABEL) == name
        and labels.get(MANAGED_BY_LABEL) == MANAGED_BY
    )


def surplus(owned: Iterable[Manifest], wanted: Iterable[Manifest], in_use: Iterable[str] = ()) -> tuple[Ref, ...]:
    """Owned objects that are no longer wanted, in a stable order.

    Claims are never surplus: the operator does not delete data. Of the config ConfigMaps, whose names change with
    their content, those in use and the two youngest others stay, so that a crashed old pod or a rollback finds its
    file.

    Args:
        owned: live objects that carry our owner reference.
        wanted: what `desired_objects` returned.
        in_use: names of ConfigMaps that live pods or ReplicaSets mount.
    """
    kept = {ref_of(manifest) for manifest in wanted}
    used = set(in_use)
    left = [live for live in owned if ref_of(live) not in kept and live["kind"] != "PersistentVolumeClaim"]
    configs = [live for live in left if is_config(live) and live["metadata"]["name"] not in used]
    youngest_first = sorted(configs, key=lambda live: str(live["metadata"].get("creationTimestamp", "")), reverse=True)
    old_configs = {ref_of(live) for live in youngest_first[2:]}
    return tuple(sorted(ref_of(live) for live in left if not is_config(live) or ref_of(live) in old_configs))


def mounted_config_maps(pods: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Names of the ConfigMaps that pods, or the pod templates of workloads, mount."""
    specs = [pod["spec"].get("template", {}).get("spec") or pod["spec"] for pod in pods]
    return frozenset(
        volume["configMap"]["name"] for spec in specs for volume in spec.get("volumes") or () if "configMap" in volume
    )


def is_config(live: Mapping[str, Any]) -> bool:
    """Whether this is a config ConfigMap, one per configuration, not the policy's, which is mutable."""
    return live["kind"] == "ConfigMap" and live.get("immutable") is True
