"""Files in a folder in which somebody works: what vanishes while one looks is passed over, as `rglob` does not."""

from __future__ import annotations

import os
from pathlib import Path


def files_below(folder: Path) -> list[Path]:
    """Every file that was there when its folder was read."""
    return [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
