"""What is ours on a machine where a cluster was killed, and what is not."""

from pathlib import Path

from localcluster.leftovers import mounts_below, stray_processes
from localcluster.network import removal_script
from localcluster.places import Places

PLACES = Places(Path("/state"), Path("/run/athens-operator"), Path("/cache"))

MOUNTS = """\
25 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 25 254:0 /state /state/kubelet rw - ext4 /dev/vda rw
41 40 0:50 / /state/kubelet/pods/1/volumes/token rw - tmpfs tmpfs rw
42 25 0:51 / /statement rw - tmpfs tmpfs rw
43 25 0:52 / /run/athens-operator/containerd/a\\040b/rootfs rw - overlay overlay rw
"""

FILTER = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:KUBE-FIREWALL - [0:0]
:DOCKER - [0:0]
-A INPUT -j KUBE-FIREWALL
-A FORWARD -o athens0 -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A KUBE-FIREWALL -d 127.0.0.0/8 -m comment --comment "block incoming" -j DROP
COMMIT
"""

NAT = """\
*nat
:POSTROUTING ACCEPT [0:0]
:CNI-0a1b - [0:0]
:CNI-ffff - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
-A POSTROUTING -s 10.91.0.2/32 -m comment --comment "name: \\"athens-operator\\" id: \\"x\\"" -j CNI-0a1b
-A POSTROUTING -s 10.99.0.2/32 -m comment --comment "name: \\"podman\\" id: \\"y\\"" -j CNI-ffff
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A CNI-0a1b -d 10.91.0.0/16 -m comment --comment "name: \\"athens-operator\\" id: \\"x\\"" -j ACCEPT
-A KUBE-POSTROUTING -j KUBE-MARK-MASQ
COMMIT
"""


def test_mounts_below_our_folders_are_found_the_deepest_first() -> None:
    assert mounts_below(MOUNTS, (PLACES.state, PLACES.run)) == [
        "/state/kubelet/pods/1/volumes/token",
        "/run/athens-operator/containerd/a b/rootfs",
        "/state/kubelet",
    ]


def process(proc: Path, pid: int, arguments: list[str], root_mount: str) -> None:
    (proc / str(pid)).mkdir(parents=True)
    (proc / str(pid) / "cmdline").write_bytes("\0".join(arguments).encode())
    (proc / str(pid) / "mountinfo").write_text(f"1 0 0:1 / / rw - {root_mount}\n")


def test_shims_and_container_processes_of_ours_are_found_and_no_others(tmp_path: Path) -> None:
    machine = "ext4 /dev/vda rw"
    ours = "overlay overlay rw,lowerdir=/state/containerd/root/1,upperdir=/state/containerd/root/2,workdir=/w"
    theirs = "overlay overlay rw,lowerdir=/var/lib/docker/1,upperdir=/var/lib/docker/2,workdir=/w"
    shim = ["/usr/bin/containerd-shim-runc-v2", "-address"]
    process(tmp_path, 11, ["busybox", "sleep"], ours)
    process(tmp_path, 12, [*shim, "/run/athens-operator/containerd.sock"], machine)
    process(tmp_path, 13, [*shim, "/run/containerd/containerd.sock"], machine)
    process(tmp_path, 14, ["tail", "-f", "/state/logs/etcd.log"], machine)
    process(tmp_path, 15, ["python3"], theirs)
    (tmp_path / "16").mkdir()  # gone while we look
    (tmp_path / "self").mkdir()
    assert stray_processes(PLACES, tmp_path) == [12, 11]


def test_packet_filter_rules_of_ours_go_and_others_stay() -> None:
    assert removal_script(FILTER + NAT).splitlines() == [
        "*filter",
        "-D INPUT -j KUBE-FIREWALL",
        "-D FORWARD -o athens0 -j ACCEPT",
        "-F KUBE-FIREWALL",
        "-X KUBE-FIREWALL",
        "COMMIT",
        "*nat",
        '-D POSTROUTING -s 10.91.0.2/32 -m comment --comment "name: \\"athens-operator\\" id: \\"x\\"" -j CNI-0a1b',
        '-D POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
        "-F KUBE-POSTROUTING",
        "-F KUBE-MARK-MASQ",
        "-F CNI-0a1b",
        "-X KUBE-POSTROUTING",
        "-X KUBE-MARK-MASQ",
        "-X CNI-0a1b",
        "COMMIT",
    ]


def test_a_clean_machine_needs_no_change() -> None:
    assert removal_script("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n") == ""
