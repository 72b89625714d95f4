"""Whatever the request line says, the proxy answers in the words of the protocol and writes nothing elsewhere."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.go_names import FILES, PATHS, request_target
from support.modules_fixture import SampleModule
from support.proxy_parts import Proxy, SampleUpstream

PIECES = st.one_of(
    st.sampled_from(["/", "/@v/", "/@latest", "/@v/list", "/@v/v1.0.0.zip", "example.com", "/m", "..", ".", "!a"]),
    st.sampled_from(
        ["%2f", "%5c", "%00", "%0a", "%25", "%zz", "%ff", "%21a", "?", "#", "*", "sumdb/", "\\", "~", "-x"]
    ),
    st.sampled_from(["catalog?pagesize=", "index?limit=", "since=", "token=a|b", "&", "-1", "999999999999999999999"]),
    st.binary(max_size=4).map(lambda data: data.decode("latin-1").replace("\r", "").replace("\n", "").replace(" ", "")),
)
TARGETS = st.lists(PIECES, max_size=8).map(lambda pieces: "/" + "".join(pieces)) | st.builds(
    request_target, PATHS, FILES
)


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(targets=st.lists(TARGETS, min_size=20, max_size=40))
def test_no_target_is_an_error_of_ours(targets: list[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        statuses = asyncio.run(_statuses(Path(folder), targets))
        outside = {path.name for path in Path(folder).iterdir()}

    assert [target for target, status in statuses.items() if not 200 <= status < 500] == []
    assert outside == {"store", "scratch"}
    assert "Traceback" not in caplog.text


async def _statuses(folder: Path, targets: list[str]) -> dict[str, int]:
    proxy = Proxy(folder / "store", SampleUpstream(folder / "scratch", [SampleModule()]))
    async with proxy.serving() as address:
        host, _, port = address.removeprefix("http://").partition(":")
        return {target: await _status(host, int(port), target) for target in targets}


async def _status(host: str, port: int, target: str) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode("latin-1"))
        await writer.drain()
        line = await asyncio.wait_for(reader.readline(), 30)
        return int(line.split()[1])
    finally:
        writer.close()
        await writer.wait_closed()
