"""Debian packages that the cluster stands on."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from typing import Final

from localcluster.errors import ClusterError
from localcluster.progress import step

# apt-get update does not wait for another one; hack/servers has the same lock.
_ONE_AT_A_TIME: Final = ("flock", "/run/lock/athens-operator-apt")
_SBIN: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")
# a program (or file) that proves the package -> the package
CONTROL_PLANE: Final = {"etcd": "etcd-server", "openssl": "openssl"}
NODE: Final = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "iptables": "iptables",
    "ip": "iproute2",
    "conntrack": "conntrack",
    "socat": "socat",
    "busybox": "busybox-static",
    "mount": "mount",
}
IMAGES: Final = {"dockerd": "docker.io", "debootstrap": "debootstrap"}


def find(program: str) -> str | None:
    """The full path of a program, also where PATH leaves the administrator's folders out."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *_SBIN]))


def ensure(*needs: dict[str, str]) -> None:
    """Install what is missing.

    Raises:
        ClusterError: Something is missing and cannot be installed by this user or on this system.
    """
    missing = sorted({package for need in needs for proof, package in need.items() if find(proof) is None})
    if not missing:
        return
    by_hand = f"apt-get install {' '.join(missing)}"
    if os.geteuid() != 0 or find("apt-get") is None:
        raise ClusterError(f"the local cluster needs Debian packages that are missing; as root: {by_hand}")
    with step(f"installing {len(missing)} Debian packages"):
        _apt_get("update")
        _apt_get("install", "-y", "--no-install-recommends", *missing)


def _apt_get(*arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    argv: Iterable[str] = (*_ONE_AT_A_TIME, "apt-get", "-q", "-o", "DPkg::Lock::Timeout=600", *arguments)
    ran = subprocess.run(list(argv), env=environment, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise ClusterError(f"`{' '.join(argv)}` failed: {(ran.stderr or ran.stdout).strip()[-1500:]}")
