"""Test servers and checkers that come as npm packages, pinned by a lock file in hack/ and cached outside the work tree.

The lock file carries no registry address, so that any registry or mirror can serve it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from localcluster.errors import ClusterError
from localcluster.locks import locked
from localcluster.places import REPOSITORY, Places
from localcluster.progress import step

_PINNED: Final = ("package.json", "package-lock.json")
_KEY_LENGTH: Final = 12
# tool -> (folder below hack/ that pins it, its file below node_modules)
TOOLS: Final = {"azurite": ("azurite", ".bin/azurite-blob"), "axe": ("axe", "axe-core/axe.min.js")}


def ensure(tool: str, places: Places) -> Path:
    """The path of a tool's program, installed first if this machine has not installed this version yet.

    Raises:
        ClusterError: npm is missing or the installation failed.
    """
    name, program = TOOLS[tool]
    pins = REPOSITORY / "hack" / name
    digest = hashlib.sha256(b"".join((pins / file).read_bytes() for file in _PINNED)).hexdigest()
    folder = places.cache / "npm" / f"{name}-{digest[:_KEY_LENGTH]}"
    if not folder.exists():
        with locked(folder.parent / f"{name}.lock"):
            if not folder.exists():  # another process may have installed it while we waited
                with step(f"installing {name} from npm"):
                    _install(pins, folder)
    return folder / "node_modules" / program


def _install(pins: Path, folder: Path) -> None:
    """Install everything the lock file names, then publish it by one rename; no package's scripts are run."""
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for file in _PINNED:
            shutil.copy(pins / file, unfinished)
        installed = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=unfinished,
            env=dict(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )
        if installed.returncode != 0:
            raise ClusterError(f"could not install hack/{pins.name} with npm: {installed.stderr.strip()[-2000:]}")
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    except FileNotFoundError as error:
        raise ClusterError(f"could not run npm: {error}; install Node.js 20 or newer") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
