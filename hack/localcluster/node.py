"""The processes of the one node: container runtime, kubelet, Service proxy, DNS, and the scheduler that uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from localcluster import binaries, network, packages, pause_image
from localcluster.controlplane import ControlPlaneFiles, User
from localcluster.errors import ClusterError
from localcluster.places import REPOSITORY, Places
from localcluster.processes import Daemons

NAME: Final = "local"
KUBELET: Final = User(f"system:node:{NAME}", ("system:nodes",))
PROXY: Final = User("system:kube-proxy")
SCHEDULER: Final = User("system:kube-scheduler")
COREDNS: Final = User("athens-operator-local-coredns")
USERS: Final = (KUBELET, PROXY, SCHEDULER, COREDNS)
# in the order they are started; stopped from the last to the first
RUNTIME: Final = "containerd"
WORKERS: Final = ("kube-scheduler", "kubelet", "kube-proxy", "coredns", "provisioner")

_CONTAINERD: Final = """\
version = 2
root = "{state}/containerd/root"
state = "{run}/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/{pause}"
  restrict_oom_score_adj = true  # lowering it is refused in some virtual machines: the sandbox would not start
  netns_mounts_under_state_dir = true
  disable_tcp_service = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{state}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
"""

_COREFILE: Final = """\
.:53 {{
  bind {address}
  errors
  kubernetes cluster.local in-addr.arpa ip6.arpa {{
    kubeconfig {kubeconfig}
    fallthrough in-addr.arpa ip6.arpa
  }}
  forward . /etc/resolv.conf
  cache 5
}}
"""


def start_runtime(daemons: Daemons, places: Places) -> None:
    """Start containerd."""
    configuration = places.state / "containerd/config.toml"
    configuration.parent.mkdir(parents=True, exist_ok=True)
    configuration.write_text(
        _CONTAINERD.format(state=places.state, run=places.run, socket=places.containerd_socket, pause=pause_image.NAME)
    )
    program = packages.find("containerd") or "containerd"
    sbin = {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}  # CNI calls iptables
    daemons.start(RUNTIME, [program, "--config", configuration], env=sbin)


def ctr(places: Places, *arguments: str, stdin: int | None = None) -> str:
    """Run containerd's own client in the namespace that the kubelet uses.

    Raises:
        ClusterError: It failed.
    """
    argv = [packages.find("ctr") or "ctr", "-a", str(places.containerd_socket), "-n", "k8s.io", *arguments]
    ran = subprocess.run(argv, stdin=stdin, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise ClusterError(f"`ctr {' '.join(arguments)}` failed: {ran.stderr.strip()}")
    return ran.stdout


def runtime_ready(daemons: Daemons, places: Places) -> bool:
    """Whether containerd answers."""
    daemons.require_alive(RUNTIME)
    try:
        ctr(places, "version")
    except ClusterError:
        return False
    return True


def remove_dead_containers(places: Places) -> bool:
    """Forget the containers of an earlier cluster; whether there were any.

    containerd's kubelet interface keeps them in memory as well: restart it after a True.
    """
    containers = ctr(places, "containers", "list", "--quiet").split()
    for container in containers:
        ctr(places, "containers", "delete", container)
    return bool(containers)


def import_pause_image(places: Places) -> None:
    """Give containerd the image of every pod's sandbox, unless it has it."""
    name = f"docker.io/{pause_image.NAME}"
    if name in ctr(places, "images", "list", "--quiet").split():
        return
    archive = places.state / "pause.tar"
    pause_image.write(Path(packages.find("busybox") or "/bin/busybox"), archive)
    ctr(places, "images", "import", str(archive))


def start_workers(files: ControlPlaneFiles, daemons: Daemons, places: Places) -> None:
    """Start everything that talks to the API server; it must be ready."""
    scheduler = [f"--kubeconfig={files.kubeconfig(SCHEDULER.name)}", "--leader-elect=false", "--secure-port=0"]
    daemons.start("kube-scheduler", [binaries.ensure("kube-scheduler", places), *scheduler])
    start_kubelet(files, daemons, places)
    proxy = _kube_proxy_config(files)
    _write(places.state / "kube-proxy.json", proxy)
    daemons.start("kube-proxy", [binaries.ensure("kube-proxy", places), f"--config={places.state / 'kube-proxy.json'}"])
    corefile = places.state / "Corefile"
    corefile.write_text(_COREFILE.format(address=network.NODE_ADDRESS, kubeconfig=files.kubeconfig(COREDNS.name)))
    daemons.start("coredns", [binaries.ensure("coredns", places), "-conf", corefile])
    provisioner = [sys.executable, "-m", "localcluster.provisioner", str(places.kubeconfig), str(places.volumes)]
    daemons.start("provisioner", provisioner, cwd=REPOSITORY / "hack")


def start_kubelet(files: ControlPlaneFiles, daemons: Daemons, places: Places) -> None:
    """Start the kubelet alone."""
    (places.state / "kubelet").mkdir(exist_ok=True)
    _write(places.state / "kubelet.json", kubelet_config(files, places, _cgroup_version()))
    argv = [
        f"--config={places.state / 'kubelet.json'}",
        f"--kubeconfig={files.kubeconfig(KUBELET.name)}",
        f"--root-dir={places.state / 'kubelet'}",
        f"--cert-dir={places.state / 'kubelet/pki'}",
        f"--hostname-override={NAME}",
        f"--node-ip={network.NODE_ADDRESS}",
    ]
    daemons.start("kubelet", [binaries.ensure("kubelet", places), *argv])


def kubelet_config(files: ControlPlaneFiles, places: Places, cgroup_version: int) -> dict[str, object]:
    """The kubelet's configuration for a small, shared machine."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": network.NODE_ADDRESS,
        "healthzPort": 0,
        "readOnlyPort": 0,
        # only the API server's client certificate is let in: pods can reach this port
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(files.pki.ca)},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        **({"failCgroupV1": False} if cgroup_version == 1 else {}),
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{places.containerd_socket}",
        "clusterDomain": "cluster.local",
        "clusterDNS": [network.NODE_ADDRESS],
        "localStorageCapacityIsolation": False,
        "podLogsDir": str(places.state / "pod-logs"),
        "volumePluginDir": str(places.state / "kubelet/plugins"),
        # two cores and a shared disk: no reserve for the system, evict only when all is lost, keep loaded images
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "nodeStatusUpdateFrequency": "5s",
    }


def _kube_proxy_config(files: ControlPlaneFiles) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": str(files.kubeconfig(PROXY.name))},
        "hostnameOverride": NAME,
        "clusterCIDR": network.POD_CIDR,
        "healthzBindAddress": "",
        "metricsBindAddress": "",
        "conntrack": {"maxPerCore": 0},
    }


def _cgroup_version() -> int:
    return 2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1


def _write(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
