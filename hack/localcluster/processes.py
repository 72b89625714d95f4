"""Background processes by pid file: started once, found again by a later call, and only ours are ever ended.

A pid alone proves nothing: after a SIGKILL or a reboot another process may carry it. The file therefore holds
the start time and the boot as well, and a process is ours only if all three agree.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from localcluster.errors import ClusterError

_PROC = Path("/proc")
_LOG_TAIL_LINES = 15


@dataclass(frozen=True)
class Identity:
    """One process, told apart from every other process this machine ever ran."""

    pid: int
    started_ticks: int
    boot: str


def identify(pid: int, proc: Path = _PROC) -> Identity | None:
    """The identity of a running process; None if there is none or it is a zombie."""
    try:
        stat = (proc / str(pid) / "stat").read_text()
        boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()  # the name before it may hold blanks and brackets
    if state in "ZX":
        return None
    return Identity(pid, int(fields[18]), boot)


def read_identity(file: Path) -> Identity | None:
    """What a pid file says; None for a missing, torn or foreign file."""
    try:
        found = json.loads(file.read_text())
        return Identity(int(found["pid"]), int(found["started_ticks"]), str(found["boot"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def end(identity: Identity, grace_s: float) -> None:
    """End one process: SIGTERM, then SIGKILL when it outlives the grace. A process that is gone is fine."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except OSError:
        return
    try:
        if identify(identity.pid) != identity:  # asked after opening: from here on the pid cannot change hands
            return
        for number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 10.0)):
            signal.pidfd_send_signal(descriptor, number)
            if select.select([descriptor], [], [], patience_s)[0]:
                return
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)
    raise ClusterError(f"process {identity.pid} survives SIGKILL; it hangs in the kernel, restart the machine")


class Daemons:
    """The background processes recorded in one folder."""

    def __init__(self, pids: Path, logs: Path) -> None:
        """Keep pid files in `pids` and output in `logs`; both are created on first use."""
        self._pids = pids
        self._logs = logs
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(
        self, name: str, argv: Sequence[str | Path], env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        """Start a process that outlives the caller; nothing happens if it is already running.

        Args:
            name: Names the pid file and the log.
            argv: The program and its arguments.
            env: The whole environment; the caller's own if None.
            cwd: Working directory; the caller's own if None.
        """
        if self.alive(name):
            return
        self.stop(name)  # forget one that has died
        self._pids.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("ab") as log:
            child = subprocess.Popen(
                [str(argument) for argument in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
                cwd=cwd,
                start_new_session=True,
            )
        self._children[name] = child
        identity = identify(child.pid)
        if identity is None:
            raise ClusterError(f"{name} ended at once\n{self.tail(name)}")
        self._file(name).write_text(json.dumps(asdict(identity)))

    def alive(self, name: str) -> bool:
        """Whether the process that the pid file names is still running."""
        recorded = read_identity(self._file(name))
        return recorded is not None and identify(recorded.pid) == recorded

    def require_alive(self, *names: str) -> None:
        """Raise ClusterError with the end of its log for the first process that has died."""
        for name in names:
            if not self.alive(name):
                raise ClusterError(f"{name} has ended\n{self.tail(name)}")

    def stop(self, name: str, grace_s: float = 10.0) -> None:
        """End a process and forget it; one that is gone, or whose pid now belongs to another, is only forgotten."""
        recorded = read_identity(self._file(name))
        if recorded is not None:
            end(recorded, grace_s)
        child = self._children.pop(name, None)
        if child is not None:
            child.wait()
        self._file(name).unlink(missing_ok=True)

    def kill(self, name: str) -> None:
        """End a process as a crash would, without a chance to clean up."""
        recorded = read_identity(self._file(name))
        if recorded is not None and identify(recorded.pid) == recorded:
            os.kill(recorded.pid, signal.SIGKILL)
        self.stop(name)

    def names(self) -> list[str]:
        """Every process with a pid file, dead or alive."""
        return sorted(file.stem for file in self._pids.glob("*.pid"))

    def log(self, name: str) -> Path:
        """The file that takes the process' output."""
        return self._logs / f"{name}.log"

    def tail(self, name: str) -> str:
        """The end of the process' log, for an error message."""
        try:
            lines = self.log(name).read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        except OSError:
            return f"{self.log(name)}: no output"
        return "\n".join([f"the end of {self.log(name)}:", *lines])

    def _file(self, name: str) -> Path:
        return self._pids / f"{name}.pid"
