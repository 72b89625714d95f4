"""The volumes of a pod and where its container mounts them.

Nothing of ours is mounted by `subPath`, so the kubelet updates every file live.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from athens_operator.desired.configuration import BUNDLE_FILE, CONFIG_FOLDER, POLICY_FOLDER, SCRATCH_FOLDER
from athens_operator.desired.credentials import known_hosts_key
from athens_operator.desired.environment import HOME_FOLDER, RUNTIME_FOLDER
from athens_operator.desired.names import claim_name, policy_name
from athens_operator.manifests import Manifest
from athens_operator.spec.proxy import AthensProxy
from athens_operator.spec.references import (
    KNOWN_HOSTS,
    MountedFiles,
    credential_volume,
    mounted_files,
    trusted_certificates,
)

READ_BY_GROUP = 0o440
READ_BY_ALL = 0o444  # production mode refuses files that group or others may write
DEFAULT_SCRATCH_SIZE = "4Gi"
RUNTIME_VOLUME = "runtime"
RUNTIME_SIZE = "32Mi"
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
        *_mounts(mounted_files(proxy.spec)),
    ]
    if proxy.spec.credentials:
        found.append({"name": RUNTIME_VOLUME, "mountPath": RUNTIME_FOLDER})
    if proxy.spec.trusted_ca:
        found.append({"name": BUNDLE_VOLUME, "mountPath": BUNDLE_FOLDER, "readOnly": True})
    disk = proxy.spec.storage.disk
    if disk is not None:
        found.append({"name": "data", "mountPath": disk.path})
    return found + [dict(mount) for mount in proxy.spec.extra_volume_mounts]


def bundle_mounts(proxy: AthensProxy) -> list[Manifest]:
    """What the container that makes the bundle of trusted certificates mounts."""
    bundle = {"name": BUNDLE_VOLUME, "mountPath": BUNDLE_FOLDER}
    return [*_mounts(trusted_certificates(proxy.spec)), bundle]


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
        *_volumes(mounted_files(proxy.spec), _written_out(proxy, config)),
    ]
    if proxy.spec.credentials:
        found.append({"name": RUNTIME_VOLUME, "emptyDir": _empty_dir(RUNTIME_SIZE, "Memory")})
    if proxy.spec.trusted_ca:
        found += bundle_volumes(proxy)
    return found + _data(proxy) + [dict(volume) for volume in proxy.spec.extra_volumes]


def bundle_volumes(proxy: AthensProxy) -> list[Manifest]:
    """The volumes that the container with the bundle of trusted certificates needs, and the one it fills."""
    return [*_volumes(trusted_certificates(proxy.spec), {}), {"name": BUNDLE_VOLUME, "emptyDir": {}}]


def _data(proxy: AthensProxy) -> list[Manifest]:
    disk = proxy.spec.storage.disk
    if disk is None:
        return []
    if disk.ephemeral is not None:
        return [{"name": "data", "emptyDir": _empty_dir(disk.ephemeral.size_limit, disk.ephemeral.medium)}]
    return [{"name": "data", "persistentVolumeClaim": {"claimName": claim_name(proxy)}}]


def _mounts(found: Iterable[MountedFiles]) -> list[Manifest]:
    folders = {files.volume: files.folder for files in found}
    return [{"name": volume, "mountPath": folder, "readOnly": True} for volume, folder in folders.items()]


def _volumes(found: Iterable[MountedFiles], more: Mapping[str, Manifest]) -> list[Manifest]:
    """One volume for each name, in the order in which the names come.

    Args:
        found: what is mounted.
        more: a further source of a volume that stands in no object of the user's, by name of the volume.
    """
    by_name: dict[str, list[MountedFiles]] = {}
    for files in found:
        by_name.setdefault(files.volume, []).append(files)
    return [
        _projected(name, [*map(_source, sources), *([more[name]] if name in more else [])])
        if len(sources) > 1 or name in more
        else _volume(sources[0])
        for name, sources in by_name.items()
    ]


def _written_out(proxy: AthensProxy, config: Manifest) -> dict[str, Manifest]:
    """Known hosts that stand in the spec itself, from the config ConfigMap, by the volume they belong into."""
    name = config["metadata"]["name"]
    return {
        credential_volume(credential): {
            "configMap": {"name": name, "items": [{"key": known_hosts_key(credential), "path": KNOWN_HOSTS}]}
        }
        for credential in proxy.spec.credentials
        if credential.known_hosts and credential.known_hosts.inline
    }


def _volume(mount: MountedFiles) -> Manifest:
    items = _items(mount)
    if mount.kind == "ConfigMap":
        source: Manifest = {"configMap": {"name": mount.name, **items, "defaultMode": READ_BY_ALL}}
    else:
        source = {"secret": {"secretName": mount.name, **items, "defaultMode": READ_BY_GROUP}}
    return {"name": mount.volume, **source}


def _projected(name: str, sources: Sequence[Manifest]) -> Manifest:
    """Several objects in one folder."""
    return {"name": name, "projected": {"sources": list(sources), "defaultMode": READ_BY_GROUP}}


def _source(mount: MountedFiles) -> Manifest:
    return {"configMap" if mount.kind == "ConfigMap" else "secret": {"name": mount.name, **_items(mount)}}


def _items(mount: MountedFiles) -> Manifest:
    return {"items": [{"key": key, "path": name} for key, name in mount.files]} if mount.files else {}


def _empty_dir(size_limit: str | None, medium: str) -> Manifest:
    return {**({"sizeLimit": size_limit} if size_limit else {}), **({"medium": medium} if medium else {})}
