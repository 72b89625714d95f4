"""What containers leave behind when their runtime was killed: shims, processes, mounts, cgroups, links."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

from localcluster.places import Places
from localcluster.processes import end, identify

_PROC: Final = Path("/proc")
_CGROUPS: Final = Path("/sys/fs/cgroup")
_LOG_LINKS: Final = Path("/var/log/containers")


def clear(places: Places) -> None:
    """Remove everything; our own daemons must have been stopped before."""
    for pid in stray_processes(places):
        identity = identify(pid)
        if identity is not None:
            end(identity, grace_s=0.0)
    table = Path("/proc/self/mountinfo").read_text()
    for target in mounts_below(table, (places.state, places.run)):
        subprocess.run(["umount", "-l", target], capture_output=True, check=False)
    _remove_empty_cgroups()
    for link in _LOG_LINKS.glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(places.state):
            link.unlink()


def stray_processes(places: Places, proc: Path = _PROC) -> list[int]:
    """Pids of container shims and container processes of ours, shims first.

    A shim names our containerd's socket in its arguments. A process in a container is told by its root mount, an
    overlay of layers in our state folder: that needs no living shim and no cgroup driver.
    """
    shims: list[int] = []
    contained: list[int] = []
    for folder in proc.iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            arguments = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if "containerd-shim" in arguments[0] and any(part.startswith(str(places.run)) for part in arguments):
                shims.append(int(folder.name))
            elif _root_is_ours((folder / "mountinfo").read_text(), places):
                contained.append(int(folder.name))
        except OSError:
            continue  # it ended meanwhile
    return shims + contained


def _root_is_ours(table: str, places: Places) -> bool:
    for line in table.splitlines():
        fields = line.split()
        if fields[4] == "/":
            return f"upperdir={places.state}/" in line
    return False


def mounts_below(table: str, folders: tuple[Path, ...]) -> list[str]:
    """Mount points below the folders, the deepest first.

    Args:
        table: The text of /proc/self/mountinfo.
        folders: Where to look; a folder that is itself a mount point counts.
    """
    points = (_unescape(line.split()[4]) for line in table.splitlines())
    ours = [point for point in points if any(Path(point).is_relative_to(folder) for folder in folders)]
    return sorted(ours, key=lambda point: point.count("/"), reverse=True)


def _unescape(point: str) -> str:
    return point.encode().decode("unicode_escape") if "\\" in point else point


def _remove_empty_cgroups() -> None:
    """Remove the groups of pods and of image builds, as far as nothing is in them."""
    for root in (
        root for name in ("kubepods", "docker") for root in [*_CGROUPS.glob(name), *_CGROUPS.glob(f"*/{name}")]
    ):
        for folder, _, _ in os.walk(root, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
