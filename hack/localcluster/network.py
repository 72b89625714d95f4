"""The node's network: one bridge that carries pods and the API server, and nothing on the machine's own interfaces."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Final

from localcluster import packages
from localcluster.errors import ClusterError

BRIDGE: Final = "athens0"
NODE_ADDRESS: Final = "10.91.0.1"  # the bridge's own: reachable from pods and host, from nowhere else
POD_CIDR: Final = "10.91.0.0/16"
SERVICE_CIDR: Final = "10.92.0.0/16"
FIRST_SERVICE_ADDRESS: Final = "10.92.0.1"
NETWORK_NAME: Final = "athens-operator"
_FORWARDING: Final = Path("/proc/sys/net/ipv4/ip_forward")
_BRIDGE_FILTER: Final = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
_CNI_RESULTS: Final = Path("/var/lib/cni/results")


def set_up(state: Path) -> None:
    """Create the bridge, its routes and the CNI configuration; everything `tear_down` removes."""
    configuration = state / "cni"
    configuration.mkdir(parents=True, exist_ok=True)
    (configuration / "10-athens-operator.conflist").write_text(json.dumps(_conflist(state), indent=2))
    if BRIDGE not in _run("ip", "-o", "link"):
        _run("ip", "link", "add", BRIDGE, "type", "bridge")
    _run("ip", "address", "replace", f"{NODE_ADDRESS}/16", "dev", BRIDGE)
    _run("ip", "link", "set", BRIDGE, "up")
    # an unanswered Service address must not leave the machine by the default route
    _run("ip", "route", "replace", SERVICE_CIDR, "dev", BRIDGE, "src", NODE_ADDRESS)
    _remember_and_enable_forwarding(state / "ip_forward.before")
    _filter_bridged_packets()
    for direction in ("-i", "-o"):  # a Docker engine on the machine sets the policy to DROP
        _run("iptables", "-w", "-I", "FORWARD", direction, BRIDGE, "-j", "ACCEPT")


def tear_down(state: Path, kube_proxy: Path | None) -> None:
    """Remove bridge, routes and packet filter rules, also those of a cluster that died without a word."""
    if packages.find("ip") is None or packages.find("iptables") is None:
        return  # then no cluster ever ran here
    if BRIDGE in _run("ip", "-o", "link"):
        _run("ip", "link", "delete", BRIDGE)
    rules = _run("iptables-save")
    if kube_proxy is not None and "KUBE-" in rules:
        subprocess.run([kube_proxy, "--cleanup"], capture_output=True, check=False)
        rules = _run("iptables-save")
    for command in leftover_rules(rules):
        subprocess.run([*command], capture_output=True, check=False)
    for result in _CNI_RESULTS.glob(f"{NETWORK_NAME}-*"):
        result.unlink(missing_ok=True)
    _restore_forwarding(state / "ip_forward.before")


def leftover_rules(saved: str) -> list[list[str]]:
    """The iptables commands that remove our rules and chains.

    Args:
        saved: What iptables-save printed.

    Returns:
        Commands in the order they must run: rules first, then the chains they jump to.
    """
    table = ""
    rules: list[list[str]] = []
    chains: dict[tuple[str, str], None] = {}
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A ") and f'name: \\"{NETWORK_NAME}\\"' in line:
            jump = re.search(r"-j (CNI-[0-9a-f]+)", line)
            if jump:
                chains[table, jump.group(1)] = None
                rules.append(["iptables", "-w", "-t", table, "-D", *_words(line)[1:]])
        elif line.startswith("-A FORWARD") and re.search(rf"-[io] {BRIDGE}\b", line):
            rules.append(["iptables", "-w", "-t", table, "-D", *_words(line)[1:]])
    for flag in ("-F", "-X"):
        rules += [["iptables", "-w", "-t", table, flag, chain] for table, chain in chains]
    return rules


def _words(line: str) -> list[str]:
    quoted = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', line)
    return [(text.replace('\\"', '"') if text else word) for text, word in quoted]


def _conflist(state: Path) -> dict[str, object]:
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": POD_CIDR, "gateway": NODE_ADDRESS}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(state / "cni/addresses"),
        },
    }
    return {"cniVersion": "0.4.0", "name": NETWORK_NAME, "plugins": [bridge]}


def _filter_bridged_packets() -> None:
    """Let Service addresses work between two pods on the bridge; often built into the kernel."""
    modprobe = packages.find("modprobe")
    if not _BRIDGE_FILTER.exists() and modprobe is not None:
        subprocess.run([modprobe, "-q", "br_netfilter"], check=False)
    if _BRIDGE_FILTER.exists():
        _BRIDGE_FILTER.write_text("1\n")


def _remember_and_enable_forwarding(note: Path) -> None:
    if not note.exists():
        note.write_text(_FORWARDING.read_text())
    _FORWARDING.write_text("1\n")


def _restore_forwarding(note: Path) -> None:
    if note.exists():
        _FORWARDING.write_text(note.read_text())
        note.unlink()


def _run(program: str, *arguments: str) -> str:
    path = packages.find(program) or program
    ran = subprocess.run([path, *arguments], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise ClusterError(f"`{program} {' '.join(arguments)}` failed: {ran.stderr.strip()}; the local node needs root")
    return ran.stdout
