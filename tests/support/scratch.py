"""Folders for the scratch files of clients: in memory where there is room, since most of their cost is the disk's.

For what a product keeps (stores, databases) this is the wrong place: its users have a disk.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

MEMORY: Final = Path("/dev/shm")
ROOM_BYTES: Final = 4 << 30


@contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """An empty folder that is gone when the context ends.

    Args:
        name: how its name begins.
    """
    has_room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=MEMORY if has_room else None) as folder:
        yield Path(folder)
