"""PersistentVolumes that are folders of this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

STORAGE_CLASS: Final = "local"
PROVISIONER: Final = "athensproxy.dev/local"
_PROVISIONED_BY: Final = "pv.kubernetes.io/provisioned-by"
_OWNER: Final = 1000  # uid and gid of our images; a hostPath volume ignores fsGroup


def create_folder(folder: Path) -> None:
    """Make the folder behind a volume, writable by uid and gid 1000 alone."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o770)
    os.chown(folder, _OWNER, _OWNER)


def volume(name: str, size: str, storage_class: str, folder: Path) -> dict[str, Any]:
    """A PersistentVolume any claim of its class may take; its data stays when the claim goes."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": storage_class,
            "hostPath": {"path": str(folder), "type": "Directory"},
        },
    }


def is_waiting(claim: dict[str, Any]) -> bool:
    """Whether a claim of our class has no volume yet."""
    spec = claim["spec"]
    phase = claim.get("status", {}).get("phase", "Pending")
    return spec.get("storageClassName") == STORAGE_CLASS and not spec.get("volumeName") and phase == "Pending"


def volume_name(claim: dict[str, Any]) -> str:
    """The name of the volume made for a claim: one per claim, whatever is tried twice."""
    return f"local-{claim['metadata']['uid']}"


def volume_for(claim: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The volume for one claim alone, deleted with it."""
    metadata = claim["metadata"]
    made = volume(volume_name(claim), claim["spec"]["resources"]["requests"]["storage"], STORAGE_CLASS, folder)
    made["metadata"]["annotations"] = {_PROVISIONED_BY: PROVISIONER}
    made["spec"]["persistentVolumeReclaimPolicy"] = "Delete"
    made["spec"]["accessModes"] = claim["spec"]["accessModes"]
    made["spec"]["claimRef"] = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    return made


def is_abandoned(found: dict[str, Any], claim_uids: set[str]) -> bool:
    """Whether a volume was made for a claim that no longer exists."""
    ours = found["metadata"].get("annotations", {}).get(_PROVISIONED_BY) == PROVISIONER
    spec = found["spec"]
    return (
        ours
        and spec.get("persistentVolumeReclaimPolicy") == "Delete"
        and spec.get("claimRef", {}).get("uid") not in claim_uids
    )
