"""The temporary folders of fetches and comparisons, and what killed processes left of them.

A disk store sweeps its own folder for temporary files whole. Any other folder is shared with strangers: there only
what bears our name, belongs to our user and has not been touched for a day is removed.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR
from typing import Final

from athens_proxy.storage.storage import LEFTOVER_AGE_S

FETCH: Final = "athens-fetch-"  # what their folders' names begin with
AUDIT: Final = "athens-audit-"
COPY: Final = "athens-copy-"


def sweep_scratch(folder: Path) -> None:
    """Remove the left-overs in a folder for temporary files; what cannot be removed stays. Blocks."""
    oldest = time.time() - LEFTOVER_AGE_S
    with suppress(OSError):
        for leftover in folder.iterdir():
            if not leftover.name.startswith((FETCH, AUDIT, COPY)):
                continue
            status = leftover.lstat()
            if S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and status.st_mtime < oldest:
                shutil.rmtree(leftover, ignore_errors=True)
