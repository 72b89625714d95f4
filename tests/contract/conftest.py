"""Every store that the contract suite runs against: one entry per backend."""

from __future__ import annotations

from pathlib import Path

import pytest

from athens_proxy.checksums.dirhash import mod_hash1
from athens_proxy.storage.disk import open_disk_storage
from athens_proxy.storage.disk_save import Sums
from athens_proxy.storage.memory import MemoryStorage
from athens_proxy.storage.storage import Storage
from athens_proxy.upstream.zipcheck import checked_zip_h1

SUMS = Sums(checked_zip_h1, mod_hash1)


@pytest.fixture(params=["disk", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty store of each backend."""
    if request.param == "memory":
        return MemoryStorage()
    return open_disk_storage(tmp_path / "store", sums=SUMS, create=True)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where fetched zips wait to be saved."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder
