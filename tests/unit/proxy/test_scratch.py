"""What a start removes from a folder for temporary files that it shares with strangers."""

from __future__ import annotations

import os
import time
from pathlib import Path

from athens_proxy.storage.scratch import sweep_scratch
from athens_proxy.storage.storage import LEFTOVER_AGE_S


def test_only_old_folders_of_ours_are_swept(tmp_path: Path) -> None:
    day_before_yesterday = time.time() - 2 * LEFTOVER_AGE_S
    (tmp_path / "stranger").mkdir()
    for name in ("athens-fetch-old", "athens-audit-old", "athens-copy-old", "athens-fetch-young", "athens-home-old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "source.zip").write_bytes(b"half")
    (tmp_path / "athens-fetch-link").symlink_to(tmp_path / "stranger")
    (tmp_path / "athens-fetch-file").write_bytes(b"")
    for entry in tmp_path.iterdir():
        if "young" not in entry.name:
            os.utime(entry, (day_before_yesterday, day_before_yesterday), follow_symlinks=False)

    sweep_scratch(tmp_path)

    assert {entry.name for entry in tmp_path.iterdir()} == {
        "stranger",
        "athens-fetch-young",
        "athens-home-old",
        "athens-fetch-link",
        "athens-fetch-file",
    }


def test_a_folder_that_is_gone_is_no_problem(tmp_path: Path) -> None:
    sweep_scratch(tmp_path / "gone")
