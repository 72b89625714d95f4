"""A private control plane for tests: real etcd, API server and controller-manager, and no node.

Everything but pods is real: schemas and CEL, RBAC, server-side apply, garbage collection, Deployments that create
pods (which stay Pending). Each control plane has its own ports and its own folder.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from localcluster import binaries, controlplane, packages
from localcluster.errors import ClusterError
from localcluster.places import Places
from localcluster.processes import Daemons
from localcluster.progress import wait_until
from support.ports import own_number

_START_DEADLINE_S = 60.0
_FIRST_PORT, _PORTS_EACH = 20_000, 100  # below the range from which the kernel serves outgoing connections


class ControlPlane:
    """One running control plane.

    Attributes:
        url: Base address of the API.
        kubeconfig: File for an administrator of it.
        ca: PEM file that its certificate can be checked with.
        token: The administrator's bearer token.
    """

    def __init__(self, folder: Path) -> None:
        """Prepare keys and ports below an empty folder; nothing runs yet."""
        self._places = Places.from_env(os.environ)
        self._daemons = Daemons(folder / "pids", folder / "logs")
        api, etcd, peer = _free_ports(3)
        self._files = controlplane.ControlPlaneFiles(folder, "127.0.0.1", api, etcd, peer)
        packages.ensure(packages.CONTROL_PLANE)
        self._files.create()
        self.url = self._files.url
        self.kubeconfig = self._files.kubeconfig()
        self.ca = self._files.pki.ca
        self.token = controlplane.token_of(self._files)

    @classmethod
    @contextmanager
    def started(cls, folder: Path) -> Iterator[ControlPlane]:
        """A ready control plane with its data and logs below `folder`; gone, with its processes, at the end.

        Raises:
            ClusterError: It did not become ready; the message holds the ends of the logs.
        """
        plane = cls(folder)
        try:
            plane.start()
            yield plane
        finally:
            plane.stop()

    @property
    def kubectl(self) -> Path:
        """A kubectl of the same version."""
        return binaries.ensure("kubectl", self._places)

    def start(self) -> None:
        """Start what does not run, and wait until the API answers; controllers follow within seconds."""
        controlplane.start(self._files, self._daemons, self._places)
        self._wait_until_ready()
        controlplane.start_controller_manager(self._files, self._daemons, self._places)

    def stop(self) -> None:
        """End all processes."""
        for name in reversed(controlplane.NAMES):
            self._daemons.stop(name)

    def stop_apiserver(self) -> None:
        """Take the API server down in an orderly way; its data stays."""
        self._daemons.stop("kube-apiserver", grace_s=30.0)

    def kill_apiserver(self) -> None:
        """Take the API server down as a crash would; its data stays."""
        self._daemons.kill("kube-apiserver")

    def start_apiserver(self) -> None:
        """Start the API server on the same address again and wait until it answers."""
        controlplane.start_apiserver(self._files, self._daemons, self._places)
        self._wait_until_ready()
        # it may have given up while there was no API server
        controlplane.start_controller_manager(self._files, self._daemons, self._places)

    def logs(self) -> str:
        """The ends of all logs, for the message of a failing test."""
        return controlplane.log_tails(self._daemons, controlplane.NAMES)

    def _wait_until_ready(self) -> None:
        wait_until(
            lambda: controlplane.ready(self._files, self._daemons), "the API server", _START_DEADLINE_S, self.logs
        )


def _free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, no two alike, and of this process' own: an API server comes back to its port."""
    first = _FIRST_PORT + own_number() * _PORTS_EACH
    found: list[int] = []
    for port in random.sample(range(first, first + _PORTS_EACH), k=_PORTS_EACH):
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
        if len(found) == count:
            return found
    raise ClusterError(f"found only {len(found)} free ports from {first} on")
