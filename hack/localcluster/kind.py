"""The cluster that kind runs in the machine's Docker engine."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Final

from localcluster import binaries, engine
from localcluster.engine import Engine
from localcluster.errors import ClusterError
from localcluster.places import Places
from localcluster.progress import step

_NAME: Final = "athens-operator"
_NODE: Final = f"{_NAME}-control-plane"
# the default of the pinned kind release
_NODE_IMAGE: Final = "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"
_VOLUMES: Final = "/var/lib/athens-operator-volumes"


def possible() -> bool:
    """Whether the machine has a Docker engine that has kind's node image or can pull it."""
    machine = engine.of_machine()
    return machine is not None and machine.can_get(_NODE_IMAGE)


class KindCluster:
    """One per Docker engine; its kubeconfig is ours, never the user's default."""

    def __init__(self, places: Places) -> None:
        """Nothing is started or looked at yet."""
        self._places = places

    def up(self) -> None:
        """Create the cluster unless it exists.

        Raises:
            ClusterError: kind failed.
        """
        kubeconfig = f"--kubeconfig={self._places.kubeconfig}"
        self._places.state.mkdir(parents=True, exist_ok=True)
        if _NAME in self._kind("get", "clusters").split():
            self._kind("export", "kubeconfig", f"--name={_NAME}", kubeconfig)
            return
        with step("creating a kind cluster"):
            self._kind("create", "cluster", f"--name={_NAME}", f"--image={_NODE_IMAGE}", kubeconfig, "--wait=180s")

    def down(self) -> None:
        """Delete the cluster."""
        with step("deleting the kind cluster"):
            self._kind("delete", "cluster", f"--name={_NAME}", f"--kubeconfig={self._places.kubeconfig}")
        self._places.kubeconfig.unlink(missing_ok=True)

    def status(self) -> list[str]:
        """One line per container."""
        return (
            self._engine().run("ps", "--all", f"--filter=name={_NODE}", "--format={{.Names}}  {{.Status}}").splitlines()
        )

    def load(self, images: Sequence[str]) -> None:
        """Copy images from the Docker engine into the node; kind skips those that are there."""
        with step(f"loading {', '.join(images)}"):
            self._kind("load", "docker-image", *images, f"--name={_NAME}")

    def restart_kubelet(self) -> None:
        """Restart the kubelet in the node."""
        self._engine().run("exec", _NODE, "systemctl", "restart", "kubelet")

    def make_folder(self, name: str) -> str:
        """A folder of the node that uid and gid 1000 may write, for a hostPath volume."""
        folder = f"{_VOLUMES}/{name}"
        self._engine().run("exec", _NODE, "install", "-d", "-m", "0770", "-o", "1000", "-g", "1000", folder)
        return folder

    def _engine(self) -> Engine:
        machine = engine.of_machine()
        if machine is None:
            raise ClusterError("the cluster runs in Docker, and the Docker engine does not answer; start it")
        return machine

    def _kind(self, *arguments: str) -> str:
        argv = [str(binaries.ensure("kind", self._places)), *arguments]
        ran = subprocess.run(argv, capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise ClusterError(f"`kind {' '.join(arguments[:2])}` failed: {ran.stderr.strip()[-2000:]}")
        return ran.stdout
