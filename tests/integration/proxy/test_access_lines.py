"""What the access line of a request says about who asked."""

from __future__ import annotations

import asyncio
import http.client
import logging
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from support.exchange import ask
from support.modules_fixture import SampleModule, write_file_proxy
from support.proxy_parts import Proxy, SampleUpstream
from support.proxy_process import Settings, running


@pytest.mark.parametrize(
    ("given", "shown"),
    [("192.0.2.7, 2001:db8::1", "192.0.2.7, 2001:db8::1"), ("", None), ('x" cache="hit', None), ("a" * 300, None)],
)
async def test_an_access_line_tells_for_whom_a_proxy_asked_unless_that_is_no_address(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, given: str, shown: str | None
) -> None:
    caplog.set_level(logging.INFO)
    async with Proxy(tmp_path / "store", SampleUpstream(tmp_path / "scratch", [])).serving() as address:
        await asyncio.to_thread(ask, address, "/healthz", headers={"X-Forwarded-For": given} if given else {})

    (record,) = [record for record in caplog.records if record.message == "incoming request"]

    assert record.__dict__["client"] == "127.0.0.1"
    assert record.__dict__.get("forwarded-for") == shown


async def test_the_line_of_a_failure_names_module_version_and_kind_as_athens_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="athens_proxy.web.middleware")
    async with Proxy(tmp_path / "store", SampleUpstream(tmp_path / "scratch", [])).serving() as address:
        await asyncio.to_thread(ask, address, "/example.com/none/@v/v1.0.0.info")
        await asyncio.to_thread(ask, address, "/example.com/none/@v/list")

    of_file, of_list = [record.__dict__ for record in caplog.records if "cause" in record.__dict__]

    assert {name: of_file[name] for name in ("kind", "cause", "go-module", "version")} == {
        "kind": "Not Found",
        "cause": "ModuleNotFound",
        "go-module": "example.com/none",
        "version": "v1.0.0",
    }
    assert of_list["go-module"] == "example.com/none"


@pytest.mark.parametrize("processes", ["1", "2"])
def test_every_answer_has_its_line_although_the_process_is_stopped_right_behind_the_last_one(
    tmp_path: Path, processes: str
) -> None:
    upstream = write_file_proxy(tmp_path / "upstream", [SampleModule("example.com/m", "v1.0.0")])
    settings = Settings(f"file://{upstream}", env={"ATHENS_LOG_FORMAT": "json", "ATHENS_PROCESSES": processes})
    with ExitStack() as ended:
        proxy = ended.enter_context(running(tmp_path / "proxy", settings))
        host = proxy.address.removeprefix("http://")
        client = ended.enter_context(closing(http.client.HTTPConnection(host, timeout=30)))
        for number in range(300):
            client.request("GET", "/example.com/m/@v/v1.0.0.mod", headers={"Athens-Request-ID": f"number-{number}"})
            assert client.getresponse().read()

    log = (tmp_path / "proxy" / "athens-proxy.log").read_text()
    assert [number for number in range(300) if log.count(f'"request-id": "number-{number}",') != 1] == []
