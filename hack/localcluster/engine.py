"""A Docker engine: the machine's own, or a private one that only builds images."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any, Final

from localcluster import node, packages
from localcluster.errors import ClusterError
from localcluster.places import Places
from localcluster.processes import Daemons
from localcluster.progress import step, wait_until

DAEMON: Final = "dockerd"
_INPUTS_LABEL: Final = "athens-operator.inputs"


@dataclass(frozen=True)
class Engine:
    """One engine, spoken to through the docker client.

    Attributes:
        command: The client with the options that lead to the engine.
    """

    command: tuple[str, ...]

    def run(self, *arguments: str, timeout_s: float | None = None) -> str:
        """Run a docker command and return its output.

        Raises:
            ClusterError: It failed or took too long.
        """
        try:
            ran = subprocess.run(
                [*self.command, *arguments], capture_output=True, text=True, check=False, timeout=timeout_s
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ClusterError(f"`docker {arguments[0]}` failed: {error}") from error
        if ran.returncode != 0:
            said = f"{ran.stdout[-3000:]}\n{ran.stderr[-2000:]}".strip()  # a build's own words are in the former
            raise ClusterError(f"`docker {' '.join(arguments[:3])}` failed: {said}")
        return ran.stdout

    def answers(self) -> bool:
        """Whether the engine is there."""
        try:
            self.run("version", "--format", "{{.Server.Version}}", timeout_s=20)
        except ClusterError:
            return False
        return True

    def image(self, name: str) -> dict[str, Any] | None:
        """What `docker image inspect` says; None if the engine has no such image."""
        try:
            found: dict[str, Any] = json.loads(self.run("image", "inspect", name))[0]
        except ClusterError:
            return None
        return found

    def inputs(self, name: str) -> str | None:
        """The digest of what an image was built from, as `labels` recorded it; None without image or record."""
        image = self.image(name) or {}
        found = ((image.get("Config") or {}).get("Labels") or {}).get(_INPUTS_LABEL)
        return None if found is None else str(found)

    def can_get(self, name: str) -> bool:
        """Whether the engine has an image or can pull it."""
        if self.image(name) is not None:
            return True
        with step(f"asking the registry for {name.partition('@')[0]}"):
            try:
                self.run("pull", "--quiet", name, timeout_s=600)
            except ClusterError:
                return False
        return True


def inputs_label(digest: str) -> str:
    """The label that `Engine.inputs` reads back."""
    return f"{_INPUTS_LABEL}={digest}"


def of_machine() -> Engine | None:
    """The engine that the machine runs, if it does."""
    docker = packages.find("docker")
    if docker is None:
        return None
    engine = Engine((docker,))
    return engine if engine.answers() else None


def ensure(places: Places) -> Engine:
    """The machine's engine; without one, a private engine is started, which `down` ends.

    Raises:
        ClusterError: There is none, and none can be started.
    """
    return of_machine() or _private(Daemons(places.pids, places.logs), places)


def _private(daemons: Daemons, places: Places) -> Engine:
    packages.ensure(packages.NODE, packages.IMAGES)
    engine = Engine((packages.find("docker") or "docker", "--host", f"unix://{places.docker_socket}"))
    if daemons.alive(DAEMON) and engine.answers():
        return engine
    with step("starting a Docker engine"):
        places.run.mkdir(parents=True, exist_ok=True)
        node.start_runtime(daemons, places)
        wait_until(lambda: node.runtime_ready(daemons, places), "containerd", 60, lambda: daemons.tail(node.RUNTIME))
        daemons.stop(DAEMON)
        (places.run / "docker.pid").unlink(missing_ok=True)  # a killed engine leaves it, and its pid may be taken
        daemons.start(DAEMON, [packages.find("dockerd") or "dockerd", *_arguments(places)])

        def up() -> bool:
            daemons.require_alive(DAEMON)
            return engine.answers()

        wait_until(up, "the Docker engine", 60, lambda: daemons.tail(DAEMON))
    return engine


def _arguments(places: Places) -> list[str]:
    return [
        f"--host=unix://{places.docker_socket}",
        f"--containerd={places.containerd_socket}",
        f"--data-root={places.state / 'docker'}",
        f"--exec-root={places.run / 'docker'}",
        f"--pidfile={places.run / 'docker.pid'}",
        # builds use the machine's network: no bridge, and no packet filter that would cut pods off
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
        "--oom-score-adjust=0",  # lowering it is refused in some virtual machines
    ]
