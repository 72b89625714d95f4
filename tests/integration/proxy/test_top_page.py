"""`/-/top` of a real process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.exchange import basic_auth
from support.modules_fixture import SampleModule, write_file_proxy
from support.proxy_process import ModuleProxy, Settings, running

M, N = SampleModule("example.com/m"), SampleModule("example.com/n")
LOGIN = basic_auth("gopher", "secret")


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleProxy]:
    folder: Path = tmp_path_factory.mktemp("top")
    write_file_proxy(folder / "modules", [M, N])
    env = {"BASIC_AUTH_USER": "gopher", "BASIC_AUTH_PASS": "secret", "ATHENS_PATH_PREFIX": "/go"}
    with running(folder / "proxy", Settings(f"file://{folder / 'modules'}", env=env)) as proxy:
        yield proxy


def top(proxy: ModuleProxy, query: str = "") -> dict[str, Any]:
    answer = proxy.ask(f"/-/top{query}", headers=LOGIN)
    assert (answer.status, answer.media_type) == (200, "application/json")
    page: dict[str, Any] = json.loads(answer.body)
    return page


def test_modules_that_are_asked_for_and_missed_are_counted_also_when_memory_answers(proxy: ModuleProxy) -> None:
    for _ in range(5):
        proxy.ask(f"/{M.path}/@v/{M.version}.zip", headers=LOGIN)
    proxy.ask(f"/{N.path}/@v/list", headers=LOGIN)
    proxy.ask("/example.com/stranger/@v/list")

    page, first = top(proxy), top(proxy, "?n=1")

    assert page["asked"] == [
        {"module": M.path, "count": 5, "atLeast": 5},
        {"module": N.path, "count": 1, "atLeast": 1},
    ]
    assert page["missed"] == [{"module": M.path, "count": 1, "atLeast": 1}]
    assert [one["module"] for one in first["asked"]] == [M.path]


def test_the_page_is_not_for_strangers_and_takes_numbers_only(proxy: ModuleProxy) -> None:
    assert proxy.ask("/-/top").status == 401
    refused = proxy.ask("/-/top?n=many", headers=LOGIN)

    assert (refused.status, refused.text.count("\n")) == (400, 1)
