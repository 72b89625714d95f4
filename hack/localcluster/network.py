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
_FORWARDING_NOTE: Final = "ip_forward.before"
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
    _enable_forwarding(state / _FORWARDING_NOTE)
    _filter_bridged_packets()
    for direction in ("-i", "-o"):  # a Docker engine on the machine sets the policy to DROP
        _run("iptables", "-w", "-I", "FORWARD", direction, BRIDGE, "-j", "ACCEPT")


def tear_down(state: Path, run: Path) -> None:
    """Remove bridge, routes and packet filter rules, also those of a cluster that died without a word.

    Nothing happens where no cluster of ours ever was: the same rules could belong to another kubelet.
    """
    note = state / _FORWARDING_NOTE
    bridge = Path("/sys/class/net", BRIDGE).exists()
    if not note.exists() and not bridge:
        return
    if bridge:
        _run("ip", "link", "delete", BRIDGE)
    for family in ("iptables", "ip6tables"):
        removal = removal_script(_run(f"{family}-save"))
        if removal:
            _run(f"{family}-restore", "--noflush", "--wait", stdin=removal)
    for result in _CNI_RESULTS.glob("*"):
        if str(run) in result.read_text(errors="replace"):  # it names the pod's network namespace
            result.unlink(missing_ok=True)
    if note.exists():
        _FORWARDING.write_text(note.read_text())
        note.unlink()


def removal_script(saved: str) -> str:
    """The input for iptables-restore that removes the chains of kubelet, kube-proxy and CNI, and our own rules.

    Args:
        saved: What iptables-save printed.

    Returns:
        Per table: first the rules that jump to such a chain, then the chains; empty if there are none.
    """
    tables: dict[str, list[str]] = {}
    for line in saved.splitlines():
        if line.startswith("*"):
            tables[line] = []
        elif line.startswith((":", "-A")):
            tables[next(reversed(tables))].append(line)
    return "".join(_removal(table, lines) for table, lines in tables.items())


def _removal(table: str, lines: list[str]) -> str:
    chains = [line[1:].split()[0] for line in lines if line.startswith(":KUBE-")]
    rules = []
    for line in lines:
        jump = re.search(r" -j (\S+)", line)
        if not line.startswith("-A") or jump is None:
            continue
        target = jump.group(1)
        if f'name: \\"{NETWORK_NAME}\\"' in line and target.startswith("CNI-") and target not in chains:
            chains.append(target)
        if target in chains or (line.startswith("-A FORWARD") and re.search(rf" -[io] {BRIDGE} ", line)):
            rules.append(f"-D{line[2:]}")
    if not rules and not chains:
        return ""
    ours = tuple(f"-D {chain} " for chain in chains)
    jumps = [rule for rule in rules if not rule.startswith(ours)]
    flushed = [f"-F {chain}" for chain in chains]
    deleted = [f"-X {chain}" for chain in chains]
    return "\n".join([table, *jumps, *flushed, *deleted, "COMMIT", ""])


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


def _enable_forwarding(note: Path) -> None:
    """Let packets pass between pods and the world; what was set before is put back by `tear_down`."""
    if not note.exists():
        note.write_text(_FORWARDING.read_text())
    _FORWARDING.write_text("1\n")


def _run(program: str, *arguments: str, stdin: str | None = None) -> str:
    path = packages.find(program) or program
    ran = subprocess.run([path, *arguments], input=stdin, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise ClusterError(f"`{program} {' '.join(arguments)}` failed: {ran.stderr.strip()}; the local node needs root")
    return ran.stdout
