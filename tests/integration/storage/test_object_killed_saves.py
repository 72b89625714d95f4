"""A save that is killed -9 leaves a whole version or none in every store, and the next one completes it.

Memory storage has no such promise to keep: it ends with the process that is killed. `make bench SCENARIO=kill` kills a
hundred saves of larger zips on each store.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.large_zips import large_zip
from support.object_places import LASTING, NewPlace, places
from support.object_trials import kill_saves

POINTS = 3
ZIP_MIB = 16
SMALLER_MIB = {"mongo": 6}  # several batches for the store; FerretDB reads all it has to answer one query


@pytest.fixture(params=LASTING)
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewPlace]:
    """Makes empty stores of each kind."""
    with places(request.param, tmp_path) as makes:
        yield makes


async def test_a_killed_save_leaves_a_whole_version_or_none(new_place: NewPlace, tmp_path: Path) -> None:
    large = large_zip(tmp_path, SMALLER_MIB.get(new_place().kind, ZIP_MIB))

    found = await kill_saves(new_place, large, POINTS)

    print(found)
    assert not found.halves
    assert found.completed == POINTS
