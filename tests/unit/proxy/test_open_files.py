"""How many connections the process may hold."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from athens_proxy.server import allow_many_connections


@pytest.fixture
def hard_limit() -> Iterator[int]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_soft_limit_of_a_shell_does_not_bound_the_connections(hard_limit: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard_limit))

    allow_many_connections()

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard == hard_limit
    assert soft == (65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536))


def test_a_limit_that_somebody_raised_further_stays(hard_limit: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))

    allow_many_connections()

    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard_limit, hard_limit)
