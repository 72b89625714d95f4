"""An upstream of modules with random content, so that a zip is about as large as what is in it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

from support.goproxy_server import GoProxyServer
from support.modules_fixture import SampleModule

ZIP_BYTES = 40_000


def module(number: int, *, salt: int = 0) -> SampleModule:
    """One of the modules; another salt gives other bytes under the same name."""
    noise = random.Random(number * 1000 + salt).randbytes(ZIP_BYTES)
    return SampleModule(f"example.com/m{number}", files={"noise.bin": noise})


@pytest.fixture
def modules() -> list[SampleModule]:
    """What upstream has."""
    return [module(number) for number in range(40)]


@pytest.fixture
async def upstream(modules: list[SampleModule]) -> AsyncIterator[GoProxyServer]:
    """A module proxy that counts what it is asked."""
    async with GoProxyServer(modules).running() as server:
        yield server
