"""The volumes of a pod and where its container mounts them.

Nothing of ours is mounted by `subPath`, so the kubelet updates every file live.
"""

from __future__ import annotations

from athens_operator.desired.configuration import BUNDLE_FILE, CONFIG_FOLDER, POLICY_FOLDER, SCRATCH_FOLDER
from athens_operator.desired.environment import HOME_FOLDER
from athens_operator.desired.names import claim_name, policy_name
from athens_operator.manifests import Manifest
from athens_operator.spec.proxy import AthensProxy
from athens_operator.spec.references import MountedFiles, mounted_files, trusted_certificates

READ_BY_GROUP = 0o440
READ_BY_ALL = 0o444  # production mode refuses files that group or others may write
DEFAULT_SCRATCH_SIZE = "4Gi"
BUNDLE_VOLUME = "ca-bundle"
BUNDLE_FOLDER = BUNDLE_FILE.rpartition("/")[0]


def mounts(proxy: AthensProxy) -> list[Manifest]:
    """What the container mounts."""
    found: list[Manifest] = [
        {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
        {"name": "policy", "mountPath": POLICY_FOLDER, "readOnly": True},
        {"name": "scratch", "mountPath": SCRATCH_FOLDER},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - an emptyDir of the pod, not a shared folder
        {"name": "home", "mountPath": HOME_FOLDER},
        *map(_mount, mounted_files(proxy.spec)),
    ]
    if proxy.spec.trusted_ca:
        found.append({"name": BUNDLE_VOLUME, "mountPath": BUNDLE_FOLDER, "readOnly": True})
    disk = proxy.spec.storage.disk
    if disk is not None:
        found.append({"name": "data", "mountPath": disk.path})
    return found + [dict(mount) for mount in proxy.spec.extra_volume_mounts]


def bundle_mounts(proxy: AthensProxy) -> list[Manifest]:
    """What the container that makes the bundle of trusted certificates mounts."""
    bundle = {"name": BUNDLE_VOLUME, "mountPath": BUNDLE_FOLDER}
    return [*map(_mount, trusted_certificates(proxy.spec)), bundle]


def volumes(proxy: AthensProxy, config: Manifest) -> list[Manifest]:
    """The volumes of the pod.

    Args:
        proxy: whose.
        config: the config ConfigMap.
    """
    scratch = proxy.spec.scratch
    found: list[Manifest] = [
        {"name": "config", "configMap": {"name": config["metadata"]["name"], "defaultMode": READ_BY_ALL}},
        {"name": "policy", "configMap": {"name": policy_name(proxy), "defaultMode": READ_BY_ALL}},
        {"name": "scratch", "emptyDir": _empty_dir(scratch.size_limit or DEFAULT_SCRATCH_SIZE, scratch.medium)},
        {"name": "tmp", "emptyDir": {}},
        {"name": "home", "emptyDir": {}},
        *map(_files, mounted_files(proxy.spec)),
    ]
    if proxy.spec.trusted_ca:
        found += [*map(_files, trusted_certificates(proxy.spec)), {"name": BUNDLE_VOLUME, "emptyDir": {}}]
    return found + _data(proxy) + [dict(volume) for volume in proxy.spec.extra_volumes]


def _data(proxy: AthensProxy) -> list[Manifest]:
    disk = proxy.spec.storage.disk
    if disk is None:
        return []
    if disk.ephemeral is not None:
        return [{"name": "data", "emptyDir": _empty_dir(disk.ephemeral.size_limit, disk.ephemeral.medium)}]
    return [{"name": "data", "persistentVolumeClaim": {"claimName": claim_name(proxy)}}]


def _mount(files: MountedFiles) -> Manifest:
    return {"name": files.volume, "mountPath": files.folder, "readOnly": True}


def _files(mount: MountedFiles) -> Manifest:
    items = [{"key": key, "path": name} for key, name in mount.files]
    if mount.kind == "ConfigMap":
        source: Manifest = {"configMap": {"name": mount.name, "items": items, "defaultMode": READ_BY_ALL}}
    else:
        source = {"secret": {"secretName": mount.name, "items": items, "defaultMode": READ_BY_GROUP}}
    return {"name": mount.volume, **source}


def _empty_dir(size_limit: str | None, medium: str) -> Manifest:
    return {**({"sizeLimit": size_limit} if size_limit else {}), **({"medium": medium} if medium else {})}
