"""How ssh is told to use one entry: its key alone, and its known hosts alone.

Source: ssh_config(5)
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from athens_proxy.credentials.entries import Entry
from athens_proxy.credentials.secret_files import private_key, read_file

_ALWAYS: Final = (
    "BatchMode=yes",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "PreferredAuthentications=publickey",
    "ControlMaster=no",
    "UpdateHostKeys=no",
    "GlobalKnownHostsFile=/dev/null",
    "ForwardAgent=no",
    "ConnectTimeout=30",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
)


def ssh_arguments(entry: Entry, folder: Path) -> list[str]:
    """Arguments for one connection; what they name is written below `folder`, for this user alone.

    ssh reads no configuration but these.

    Raises:
        Unusable: the key or the known hosts cannot be used.
    """
    key = _written(folder / f"{entry.name}.key", private_key(entry))
    options = list(_ALWAYS)
    if entry.checks_host_key:
        known = _written(folder / f"{entry.name}.known_hosts", read_file(entry, "known_hosts").rstrip() + b"\n")
        options += ["StrictHostKeyChecking=yes", f'UserKnownHostsFile="{known}"']
    else:
        options += ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
    options.append(f"Port={entry.port}")  # after the -p of an address with a port, which wins
    return ["-F", "none", "-i", str(key), *(word for option in options for word in ("-o", option))]


def _written(path: Path, data: bytes) -> Path:
    """The file with this content, replaced at once: another connection of the run may read it."""
    descriptor, fresh = tempfile.mkstemp(dir=path.parent)  # readable for its owner alone
    with open(descriptor, "wb") as file:
        file.write(data)
    return Path(fresh).replace(path)
