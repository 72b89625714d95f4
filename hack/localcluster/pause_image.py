"""The image of a pod's sandbox, without a registry: a static busybox that sleeps."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path
from typing import Final

NAME: Final = "athens-operator-local/pause:1"
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


def write(busybox: Path, archive: Path) -> None:
    """Write an archive that `ctr images import` takes.

    Args:
        busybox: A statically linked busybox of this machine's architecture.
        archive: Where to write.
    """
    layer = _tar({"busybox": busybox.read_bytes()}, mode=0o755)
    configuration = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Entrypoint": ["/busybox", "sleep", "2147483647"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    config = json.dumps(configuration).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [NAME], "Layers": ["layer.tar"]}]
    files = {"layer.tar": layer, config_name: config, "manifest.json": json.dumps(manifest).encode()}
    archive.write_bytes(_tar(files, mode=0o644))


def _tar(files: dict[str, bytes], mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
