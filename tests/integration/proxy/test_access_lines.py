"""What the access line of a request says about who asked."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from support.exchange import ask
from support.proxy_parts import Proxy, SampleUpstream


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
