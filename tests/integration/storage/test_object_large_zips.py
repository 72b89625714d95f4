"""Large zips go in and out of every store, none of which holds much of one in memory.

`make bench SCENARIO=memory` measures 300 MiB, ten passes, and ten zips at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from support.large_zips import LargeZip, large_zip
from support.object_places import LASTING, Place, places
from support.object_trials import measure_passes

ZIP_MIB = 96
SMALLER_MIB = {"mongo": 32}  # FerretDB takes seconds for every query


@pytest.fixture(params=LASTING)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty store of each kind."""
    with places(request.param, tmp_path) as new_place:
        yield new_place()


@pytest.fixture(scope="module")
def zip_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], LargeZip]:
    """One zip of each size; no store changes what it is given."""
    return cache(lambda size_mib: large_zip(tmp_path_factory.mktemp("zips"), size_mib))


async def test_a_large_zip_goes_in_and_out_without_being_held(place: Place, zip_of: Callable[[int], LargeZip]) -> None:
    size_mib = SMALLER_MIB.get(place.kind, ZIP_MIB)

    found = await measure_passes(place, [zip_of(size_mib)], passes=1)

    print(place.kind, found)
    assert max(resident.above_idle_mib for resident in found) <= size_mib * 2 // 3
