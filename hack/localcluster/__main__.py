"""The command line: `hack/cluster COMMAND`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Final

from localcluster import binaries, choice, engine, images, kind, volumes
from localcluster.choice import KIND, LOCAL, Named, Own
from localcluster.errors import ClusterError
from localcluster.kind import KindCluster
from localcluster.local import LocalCluster
from localcluster.locks import locked
from localcluster.named import NamedCluster
from localcluster.places import Places
from localcluster.progress import say

AnyCluster = NamedCluster | KindCluster | LocalCluster


class Commands:
    """One method per command."""

    def __init__(self, places: Places) -> None:
        """Work on the clusters below these folders."""
        self._places = places
        self._note = places.state / "running"

    def up(self, _: argparse.Namespace) -> None:
        """Bring the cluster up; does nothing if it is."""
        chosen = choice.choose(os.environ, self._places.kubeconfig, self._running(), kind.possible)
        cluster = self._cluster(chosen)
        cluster.up()
        if isinstance(cluster, NamedCluster):
            say(f"using {cluster.title}")
            return
        self._note.write_text(str(chosen))
        say(f"the cluster is up ({chosen}): export KUBECONFIG={self._places.kubeconfig}")

    def down(self, _: argparse.Namespace) -> None:
        """Take down the cluster that `up` brought up, and nothing else."""
        cluster = self._current(default=LOCAL)
        cluster.down()
        if isinstance(cluster, NamedCluster):
            say(f"left alone: {cluster.title}")
            return
        self._note.unlink(missing_ok=True)

    def status(self, _: argparse.Namespace) -> None:
        """Say which cluster is used and how it is; exit code 1 if our own is not healthy."""
        cluster = self._current(default=LOCAL)
        print("\n".join(cluster.status()))
        if isinstance(cluster, LocalCluster) and not cluster.healthy():
            raise ClusterError("the local cluster is not up; `hack/cluster up` brings it up")

    def kubeconfig(self, _: argparse.Namespace) -> None:
        """Print the path of the kubeconfig file to use."""
        cluster = self._current()
        print(cluster.kubeconfig() if isinstance(cluster, NamedCluster) else self._places.kubeconfig)

    def tool(self, arguments: argparse.Namespace) -> None:
        """Print the path of a tool's binary, built first if needed."""
        print(binaries.ensure(arguments.name, self._places))

    def build_image(self, arguments: argparse.Namespace) -> None:
        """Build images of the project; prints their references."""
        builder = engine.ensure(self._places)
        for name in arguments.names:
            print(images.build(name, builder, self._places))

    def load_image(self, arguments: argparse.Namespace) -> None:
        """Give images from the Docker engine to the cluster's node."""
        cluster = self._current()
        match cluster:
            case LocalCluster():
                images.load(arguments.images, engine.ensure(self._places), self._places)
            case KindCluster():
                cluster.load(arguments.images)
            case NamedCluster():
                wanted = ", ".join(arguments.images)
                raise ClusterError(f"{cluster.title} is not ours to load images into; push {wanted} to its registry")

    def restart_kubelet(self, _: argparse.Namespace) -> None:
        """Restart the node's kubelet."""
        cluster = self._current()
        if isinstance(cluster, NamedCluster):
            raise ClusterError(f"{cluster.title} is not ours: its kubelet cannot be restarted from here")
        cluster.restart_kubelet()

    def volume(self, arguments: argparse.Namespace) -> None:
        """Create a PersistentVolume backed by a folder that uid and gid 1000 may write."""
        cluster = self._current()
        if isinstance(cluster, NamedCluster):
            raise ClusterError(f"{cluster.title} is not ours: create the volume {arguments.name} there yourself")
        if isinstance(cluster, KindCluster):
            folder = Path(cluster.make_folder(arguments.name))
        else:
            folder = self._places.volumes / arguments.name
            volumes.create_folder(folder)
        made = volumes.volume(arguments.name, arguments.size, arguments.storage_class, folder)
        LocalCluster(self._places).kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(made))

    def _running(self) -> Own | None:
        text = self._note.read_text() if self._note.exists() else ""
        return KIND if text == KIND else LOCAL if text == LOCAL else None

    def _current(self, default: Own | None = None) -> AnyCluster:
        named = choice.named_cluster(os.environ, self._places.kubeconfig)
        chosen = named or self._running() or default
        if chosen is None:
            raise ClusterError("there is no cluster; `hack/cluster up` brings one up")
        return self._cluster(chosen)

    def _cluster(self, chosen: choice.Choice) -> AnyCluster:
        if isinstance(chosen, Named):
            return NamedCluster(chosen, self._places)
        return KindCluster(self._places) if chosen == KIND else LocalCluster(self._places)


_DESCRIPTION: Final = """\
The cluster for development and tests: the one that KUBECONFIG or CLUSTER (a kubectl context) names, which is used as
it is; else kind, where Docker can pull its node image; else one node made of processes on this machine (needs root).
"""


def _one_at_a_time(lock: Path, run: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], None]:
    """The same command, waiting for another that changes the cluster or its images."""

    @wraps(run)
    def exclusively(arguments: argparse.Namespace) -> None:
        with locked(lock):
            run(arguments)

    return exclusively


def _parser(places: Places) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hack/cluster", description=_DESCRIPTION)
    commands = Commands(places)
    lock = places.state / "lock"
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        sub = subparsers.add_parser(name, help=run.__doc__)
        sub.set_defaults(run=run)
        return sub

    add("up", _one_at_a_time(lock, commands.up))
    add("down", _one_at_a_time(lock, commands.down))
    add("status", commands.status)
    add("kubeconfig", commands.kubeconfig)
    add("restart-kubelet", _one_at_a_time(lock, commands.restart_kubelet))
    add("tool", commands.tool).add_argument("name", choices=binaries.tool_names(), metavar="NAME")
    building = add("build-image", _one_at_a_time(lock, commands.build_image))
    building.add_argument("names", nargs="+", choices=images.NAMES, metavar="proxy|operator")
    add("load-image", _one_at_a_time(lock, commands.load_image)).add_argument("images", nargs="+", metavar="IMAGE")
    volume = add("volume", commands.volume)
    volume.add_argument("name", metavar="NAME")
    volume.add_argument("size", metavar="SIZE", help="for instance 1Gi")
    volume.add_argument("storage_class", metavar="CLASS", nargs="?", default="manual", help="default: manual")
    return parser


def main(argv: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    arguments = _parser(Places.from_env(os.environ)).parse_args(argv)
    try:
        arguments.run(arguments)
    except (ClusterError, OSError) as error:
        say(f"hack/cluster: {error}")
        return 1
    except KeyboardInterrupt:
        say("hack/cluster: interrupted; run it again to go on")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
