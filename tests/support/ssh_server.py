"""sshd on loopback, which lets one key read git repositories and nothing else."""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.ports import free_port
from support.processes import accepts_connections, inherited, started

READY_S = 30.0


@dataclass(frozen=True)
class SshServer:
    """A running sshd.

    Attributes:
        port: on 127.0.0.1.
        user: who logs in.
        host_key: its public key, as in known_hosts after the host.
        keys: its authorized_keys, one public key a line.
    """

    port: int
    user: str
    host_key: str
    keys: Path


def made_key(path: Path, *, passphrase: str = "") -> str:
    """A new private key at a path; returns the public one."""
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", str(path)]
    subprocess.run(argv, check=True, capture_output=True)
    return path.with_name(f"{path.name}.pub").read_text()


@contextmanager
def running(folder: Path, repositories: Path) -> Iterator[SshServer]:
    """An sshd whose keys may read the repositories (working trees) below a folder, by their paths below it."""
    folder.mkdir(parents=True)
    host_key = made_key(folder / "host")
    port, keys, script = free_port(), folder / "authorized_keys", folder / "serve"
    keys.touch()
    script.write_text(
        "#!/bin/sh\n"
        f"path=${{SSH_ORIGINAL_COMMAND#*\\'}}; path=${{path%\\'}}; path=${{path%.git}}\n"
        f'exec git -c safe.directory="*" upload-pack "{repositories}$path"\n'
    )
    script.chmod(0o755)
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {keys}\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\n"
        f"ForceCommand {script}\nAcceptEnv GIT_PROTOCOL\nMaxStartups 100\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    argv = ["/usr/sbin/sshd", "-D", "-e", "-f", str(config)]
    with started("sshd", argv, env=inherited("PATH"), cwd=folder, log=folder / "sshd.log") as process:
        process.wait_until(lambda: accepts_connections(port), what="listening", deadline_s=READY_S)
        yield SshServer(port, getpass.getuser(), host_key, keys)
