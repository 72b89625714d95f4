"""Where the cluster keeps things: state and logs, sockets, and the cache of built binaries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Places:
    """The folders in use; nothing outside them is written, apart from the network and the cgroups.

    Attributes:
        state: Survives the processes: images, volumes, logs, pid files, kubeconfig.
        run: Sockets and mounts; short, because a socket's path has at most 107 characters.
        cache: What is expensive to make and cheap to keep: built binaries and base images.
    """

    state: Path
    run: Path
    cache: Path

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Places:
        """Places below the XDG folders of the calling user."""
        home = Path(environ.get("HOME") or Path.home())
        state = Path(environ.get("XDG_STATE_HOME") or home / ".local/state")
        cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
        return cls(state / "athens-operator/cluster", Path("/run/athens-operator"), cache / "athens-operator")

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.state / "logs"

    @property
    def pids(self) -> Path:
        """One file per process that was started and not yet stopped."""
        return self.state / "pids"

    @property
    def kubeconfig(self) -> Path:
        """Administrator of our own cluster, be it kind or the local node."""
        return self.state / "kubeconfig"

    @property
    def volumes(self) -> Path:
        """The folders behind PersistentVolumes of the local node."""
        return self.state / "volumes"

    @property
    def containerd_socket(self) -> Path:
        """Our own containerd, never the machine's."""
        return self.run / "containerd.sock"

    @property
    def docker_socket(self) -> Path:
        """Our own Docker engine, used where the machine has none."""
        return self.run / "docker.sock"
