"""Whose an object is, and which objects are left over."""

from __future__ import annotations

from typing import Any

from athens_operator.desired import desired_objects
from athens_operator.manifests import Manifest, is_owned_by, may_write, mounted_config_maps, ref_of, surplus
from support.operator_values import INPUTS, UID, proxy_value


def live(kind: str, name: str, **rest: Any) -> Manifest:
    metadata = {"name": name, "namespace": "team-a", **rest.pop("metadata", {})}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **rest}


def config(name: str, born: str) -> Manifest:
    return live("ConfigMap", name, immutable=True, metadata={"creationTimestamp": f"2026-01-0{born}T00:00:00Z"})


def owned_by(uid: str, *, controller: bool = True) -> dict[str, Any]:
    return {"ownerReferences": [{"uid": uid, "controller": controller}]}


KEPT_LABELS = {"labels": {"athensproxy.dev/proxy": "go", "app.kubernetes.io/managed-by": "athens-operator"}}


def test_a_namesakes_child_is_not_ours() -> None:
    assert is_owned_by(live("Service", "go", metadata=owned_by(UID)), UID)
    assert not is_owned_by(live("Service", "go", metadata=owned_by("another")), UID)
    assert not is_owned_by(live("Service", "go", metadata=owned_by(UID, controller=False)), UID)


def test_foreign_objects_are_never_written_but_a_kept_claim_is_taken_over() -> None:
    kept = live("PersistentVolumeClaim", "go-data", metadata=KEPT_LABELS)

    assert may_write(kept, uid=UID, name="go")
    assert not may_write(kept, uid=UID, name="other")
    assert not may_write(live("ConfigMap", "go-policy", metadata=KEPT_LABELS), uid=UID, name="go")
    assert not may_write(live("PersistentVolumeClaim", "go-data"), uid=UID, name="go")
    assert not may_write(
        live("PersistentVolumeClaim", "go-data", metadata={**KEPT_LABELS, **owned_by("another")}), uid=UID, name="go"
    )


def test_what_is_no_longer_wanted_is_surplus() -> None:
    wanted = desired_objects(proxy_value(), "x", INPUTS)
    old = live("Service", "old-name")

    assert surplus([*wanted, old], wanted) == (ref_of(old),)


def test_a_claim_is_never_surplus() -> None:
    assert surplus([live("PersistentVolumeClaim", "go-data")], []) == ()


def test_configurations_in_use_and_the_two_youngest_others_stay() -> None:
    configs = [config(f"go-config-{born}", born) for born in "12345"]

    assert [ref.name for ref in surplus(configs, [], in_use={"go-config-1"})] == ["go-config-2", "go-config-3"]


def test_pods_and_workloads_tell_which_configurations_are_in_use() -> None:
    volumes = {"volumes": [{"name": "c", "configMap": {"name": "one"}}, {"name": "t", "emptyDir": {}}]}
    pod, workload = live("Pod", "p", spec=volumes), live("ReplicaSet", "r", spec={"template": {"spec": volumes}})

    assert mounted_config_maps([pod, workload, live("Pod", "q", spec={})]) == {"one"}
