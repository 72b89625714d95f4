"""Bounded stores and the outside world: the real go command, and a checksum database that knows better."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from athens_proxy.__main__ import run
from support.go_client import GoClient
from support.go_test_proxy import SUMDB_KEY, SUMDB_NAME, GoTestProxy
from support.modules_fixture import SampleModule, write_file_proxy
from support.served_proxy import serving

QUOTE = "/rsc.io/quote/@v/v1.5.2.zip"
PRIVATE = SampleModule("example.com/private")


async def verified(capsys: pytest.CaptureFixture[str], folder: Path, upstream: str) -> tuple[int, dict[str, Any]]:
    environ = {
        "HOME": str(folder),
        "PATH": "/usr/bin:/bin",
        "ATHENS_DISK_STORAGE_ROOT": str(folder / "store"),
        "ATHENS_GO_BINARY_ENV_VARS": f"GOPROXY={upstream};GOSUMDB={SUMDB_KEY}",
        "ATHENS_SUM_DBS": f"https://{SUMDB_NAME}",
        "ATHENS_GONOSUM_PATTERNS": "example.com",
    }
    status = await asyncio.to_thread(run, ["verify", "--sumdb"], environ)
    return status, json.loads(capsys.readouterr().out)


async def test_go_builds_a_module_graph_that_is_larger_than_the_store(
    go_test_proxy: GoTestProxy, tmp_path: Path
) -> None:
    bound = 5_000  # of about twice as much, sums and `.mod` included
    async with serving(tmp_path / "proxy", go_test_proxy.url, ATHENS_RETENTION_MAX_BYTES=bound) as proxy:
        for number in range(2):
            client = GoClient(tmp_path / f"client{number}", proxy.url)
            done = await asyncio.to_thread(client.run, "mod", "download", "-json", "rsc.io/quote@v1.5.2")
            done.ok()
            for module in ("rsc.io/sampler@v1.3.0", "golang.org/x/text@v0.0.0-20170915032832-14c0d48ead0c"):
                (await asyncio.to_thread(client.run, "mod", "download", module)).ok()

        assert await proxy.metric("athens_evictions_total") >= 1
        assert await proxy.metric("athens_store_bytes") <= bound


async def test_what_the_database_vouches_for_is_clean_and_other_bytes_are_told_with_both_sums(
    go_test_proxy: GoTestProxy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = SampleModule("rsc.io/quote", "v1.5.2", {"quote.go": b"package quote // evil\n"})
    spoilt = f"file://{write_file_proxy(tmp_path / 'spoilt', [evil, PRIVATE])}"
    good, bad = tmp_path / "good", tmp_path / "bad"
    for folder, chain in ((good, f"{go_test_proxy.url},{spoilt}"), (bad, f"{spoilt},{go_test_proxy.url}")):
        async with serving(folder, chain) as proxy:
            for target in (QUOTE, "/example.com/private/@v/v1.0.0.zip"):
                assert (await proxy.ask(target)).status == 200

    status, document = await verified(capsys, good, go_test_proxy.url)
    assert (status, document["sound"], document["vouched"]) == (0, 2, 1)

    status, document = await verified(capsys, bad, go_test_proxy.url)
    assert (status, document["damaged"], document["vouched"]) == (1, 1, 0)
    (failure,) = document["failures"]
    assert failure["module"] == "rsc.io/quote"
    assert failure["reason"].count("h1:") == 2
