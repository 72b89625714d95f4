"""The cluster made of processes on this machine: one node, no registry, no container engine needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable

from localcluster import binaries, controlplane, leftovers, network, node, packages
from localcluster.controlplane import ControlPlaneFiles
from localcluster.errors import ClusterError
from localcluster.places import REPOSITORY, Places
from localcluster.processes import Daemons
from localcluster.progress import step, wait_until

_API_PORT = 6443
_ETCD_PORTS = (23790, 23800)
_BEFORE_NODE = ("etcd", "kube-apiserver", node.RUNTIME)
_ALL = (*_BEFORE_NODE, "kube-controller-manager", *node.WORKERS)
_DEADLINE_S = 90.0
_SCRATCH_SPACE = '{"status":{"capacity":{"ephemeral-storage":"50Gi"}}}'


class LocalCluster:
    """One per machine: bridge, addresses and sockets have fixed names."""

    def __init__(self, places: Places) -> None:
        """Nothing is started or looked at yet."""
        self._places = places
        self._daemons = Daemons(places.pids, places.logs)
        self._files = ControlPlaneFiles(
            places.state / "control-plane",
            network.NODE_ADDRESS,
            _API_PORT,
            *_ETCD_PORTS,
            service_cidr=network.SERVICE_CIDR,
            first_service_address=network.FIRST_SERVICE_ADDRESS,
            users=node.USERS,
        )

    def healthy(self) -> bool:
        """Whether every process lives, the API server answers and the node is Ready."""
        return all(map(self._daemons.alive, _ALL)) and self._api_answers() and self._node_ready()

    def up(self) -> None:
        """Bring the cluster up; whatever is left of an earlier one that is not healthy goes first.

        Raises:
            ClusterError: A step failed; the message holds the end of the log that explains it.
        """
        if self.healthy():
            return
        if os.geteuid() != 0:
            raise ClusterError(
                "a cluster of local processes needs root; or name a cluster with KUBECONFIG or CLUSTER, "
                "or start a Docker engine that can pull kind's node image"
            )
        packages.ensure(packages.CONTROL_PLANE, packages.NODE)
        for tool in ("kubelet", "coredns"):
            binaries.ensure(tool, self._places)
        with step("clearing what is left of an earlier cluster"):
            self._clear()
        with step("starting control plane and container runtime"):
            self._start_base()
        with step("starting the node"):
            self._start_node()

    def down(self) -> None:
        """End every process, pods included, and remove network, mounts and volumes; images are kept."""
        with step("stopping the cluster"):
            self._clear()
            self._places.kubeconfig.unlink(missing_ok=True)

    def status(self) -> list[str]:
        """One line per process."""
        width = max(map(len, _ALL))
        return [f"{name:<{width}}  {'running' if self._daemons.alive(name) else 'stopped'}" for name in _ALL]

    def restart_kubelet(self) -> None:
        """Kill the kubelet as a crash would, start it again, and wait until it has reported to the API server."""
        before = time.time()
        self._daemons.kill("kubelet")
        node.start_kubelet(self._files, self._daemons, self._places)
        wait_until(lambda: self._heard_since(before), "the restarted kubelet", _DEADLINE_S, self._why("kubelet"))

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout_s: float = 60.0) -> str:
        """Run kubectl as administrator of this cluster.

        Raises:
            ClusterError: It failed.
        """
        argv = [str(binaries.ensure("kubectl", self._places)), "--kubeconfig", str(self._files.kubeconfig())]
        ran = subprocess.run(
            [*argv, *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=timeout_s
        )
        if ran.returncode != 0:
            raise ClusterError(f"`kubectl {' '.join(arguments)}` failed: {ran.stderr.strip()}")
        return ran.stdout

    def _start_base(self) -> None:
        self._places.state.mkdir(parents=True, exist_ok=True)
        self._places.run.mkdir(parents=True, exist_ok=True)
        network.set_up(self._places.state)
        node.start_runtime(self._daemons, self._places)
        self._files.create()
        controlplane.start(self._files, self._daemons, self._places)
        self._await_runtime()
        if node.remove_dead_containers(self._places):
            self._daemons.stop(node.RUNTIME)
            node.start_runtime(self._daemons, self._places)
            self._await_runtime()
        node.import_pause_image(self._places)
        ready = controlplane.ready
        evidence = self._why("etcd", "kube-apiserver")
        wait_until(lambda: ready(self._files, self._daemons), "the API server", _DEADLINE_S, evidence)
        shutil.copyfile(self._files.kubeconfig(), self._places.kubeconfig)
        self._places.kubeconfig.chmod(0o600)

    def _start_node(self) -> None:
        controlplane.start_controller_manager(self._files, self._daemons, self._places)
        node.start_workers(self._files, self._daemons, self._places)
        self.kubectl("apply", "--server-side", "-f", str(REPOSITORY / "hack/localcluster/manifests.yaml"))
        wait_until(self._node_ready, "the node to be Ready", _DEADLINE_S, self._why("kubelet", node.RUNTIME))
        # without isolation the kubelet reports no such resource, and pods that request some would stay Pending
        self.kubectl("patch", "node", node.NAME, "--subresource=status", "--type=merge", "--patch", _SCRATCH_SPACE)

    def _await_runtime(self) -> None:
        ready = node.runtime_ready
        evidence = self._why(node.RUNTIME)
        wait_until(lambda: ready(self._daemons, self._places), "containerd", _DEADLINE_S, evidence)

    def _clear(self) -> None:
        """End our processes from the last to the first and remove what they made."""
        others = [name for name in self._daemons.names() if name not in _ALL]  # the Docker engine uses containerd
        for name in [*others, *reversed(_ALL)]:
            self._daemons.stop(name)
        leftovers.clear(self._places)
        network.tear_down(self._places.state, self._places.run)
        shutil.rmtree(self._places.run, ignore_errors=True)
        for folder in ("kubelet", "control-plane", "cni", "volumes", "pod-logs", "pids", "logs"):
            shutil.rmtree(self._places.state / folder, ignore_errors=True)

    def _api_answers(self) -> bool:
        return controlplane.answers(self._files.url, self._files.pki.ca)

    def _node_condition(self) -> tuple[str, str]:
        path = (
            '{.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].lastHeartbeatTime}'
        )
        try:
            status, heartbeat = self.kubectl("get", "node", node.NAME, "-o", f"jsonpath={path}").split()
        except (ClusterError, ValueError):
            return "Unknown", ""
        return status, heartbeat

    def _node_ready(self) -> bool:
        self._daemons.require_alive(*_ALL)
        return self._node_condition()[0] == "True"

    def _heard_since(self, before: float) -> bool:
        self._daemons.require_alive("kubelet")
        status, heartbeat = self._node_condition()
        heard = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(before))
        return status == "True" and heartbeat > heard

    def _why(self, *names: str) -> Callable[[], str]:
        return lambda: controlplane.log_tails(self._daemons, names)
