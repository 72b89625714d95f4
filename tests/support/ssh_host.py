"""An sshd on loopback with keys of its own, reached as a host name through a client configuration."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.ports import free_port
from support.processes import accepts_connections, inherited, started

DEADLINE_S = 30.0


@dataclass(frozen=True)
class SshHost:
    """A running sshd.

    Attributes:
        folder: its files: `host_key.pub`, the user's key `id`, `known_hosts`, `ssh_config`.
        port: on loopback.
        user: who may log in.
    """

    folder: Path
    port: int
    user: str

    @property
    def command(self) -> str:
        """For GIT_SSH_COMMAND and SVN_SSH; host keys are enforced."""
        return f"ssh -F {self.folder}/ssh_config"

    def command_with(self, key: str) -> str:
        """The same with another private key of `folder`, and none besides."""
        config = self.folder / f"ssh_config_{key}"
        config.write_text(
            (self.folder / "ssh_config").read_text().replace(f"{self.folder}/id\n", f"{self.folder}/{key}\n")
        )
        return f"ssh -F {config} -o IdentityAgent=none"

    def know(self, host_key: Path) -> None:
        """This is the key that clients take for the host's."""
        kind, key = host_key.read_text().split()[:2]
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")


@contextmanager
def serving(folder: Path, name: str) -> Iterator[SshHost]:
    """An sshd that clients reach as `name`, until the context ends."""
    folder.mkdir(parents=True)
    host = SshHost(folder, free_port(), getpass.getuser())
    for key in ("host_key", "other_host_key", "id"):
        _ssh_keygen("-t", "ed25519", "-N", "", "-f", str(folder / key))
    _ssh_keygen("-t", "ed25519", "-N", "a phrase", "-f", str(folder / "locked_id"))
    host.know(folder / "host_key.pub")
    shutil.copy(folder / "id.pub", folder / "authorized_keys")
    (folder / "ssh_config").write_text(
        f"Host {name}\n  HostName 127.0.0.1\n  Port {host.port}\n  User {host.user}\n  IdentityFile {folder}/id\n"
        f"  IdentitiesOnly yes\n  BatchMode yes\n  UserKnownHostsFile {folder}/known_hosts\n"
        "  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n"
    )
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {host.port}\nHostKey {folder}/host_key\nPidFile none\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nPermitRootLogin yes\nMaxStartups 100\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd confines itself
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin") or "sshd"
    argv: list[str | Path] = [sshd, "-D", "-e", "-f", folder / "sshd_config"]
    with started("sshd", argv, env=inherited("PATH"), cwd=folder, log=folder / "sshd.log") as process:
        process.wait_until(lambda: accepts_connections(host.port), what="listening", deadline_s=DEADLINE_S)
        yield host


def _ssh_keygen(*argv: str) -> None:
    subprocess.run(["ssh-keygen", "-q", *argv], check=True, stdin=subprocess.DEVNULL, capture_output=True)
