"""Purged versions: the command and the file, and what clients, other proxies and the store see of them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from athens_proxy.__main__ import run
from athens_proxy.storage import layout
from support.goproxy_server import GoProxyServer
from support.living_folder import files_below
from support.modules_fixture import SampleModule
from support.served_proxy import ServedProxy, serving

DEADLINE_S = 30.0
ZIP = "/example.com/m0/@v/v1.0.0.zip"


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await holds():  # each look asks the proxy
            pass


async def answers(proxy: ServedProxy, status: int, target: str = ZIP) -> bool:
    return (await proxy.ask(target)).status == status


async def has_no_zip_of_m0(proxy: ServedProxy) -> bool:
    """Whether it is deleted, a moment after it is refused; each look asks the proxy for something else."""
    await proxy.ask("/healthz")
    return not any(path.name == layout.ZIP_NAME and "m0" in path.parts for path in files_below(proxy.store))


async def command(capsys: pytest.CaptureFixture[str], store: Path, *argv: str) -> tuple[int, dict[str, Any], str]:
    """The exit status of `athens-proxy`, its document and what it wrote to standard error."""
    environ = {"ATHENS_DISK_STORAGE_ROOT": str(store), "PATH": "/usr/bin:/bin"}
    status = await asyncio.to_thread(run, list(argv), environ)
    printed = capsys.readouterr()
    return status, json.loads(printed.out or "{}"), printed.err


async def test_a_purged_version_is_gone_from_every_answer_and_never_fetched_again(
    upstream: GoProxyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream.files["example.com/m0/@v/list"] = b"v1.0.0\n"
    async with serving(tmp_path, upstream.url) as proxy:
        assert await answers(proxy, 200)
        asked = ("purge", "--reason", "leaked a key", "example.com/m0@v1.0.0")
        status, document, audit = await command(capsys, proxy.store, *asked)

        assert status == 0
        assert document["versions"][0]["was_stored"] is True
        line = json.loads(audit)
        assert (line["audit"], line["module"], line["reason"]) == ("purge", "example.com/m0", "leaked a key")
        await until(lambda: answers(proxy, 403))
        fetches = upstream.requests["example.com/m0/@v/v1.0.0.zip"]
        for extension in ("info", "mod", "zip"):
            answer = await proxy.ask(f"/example.com/m0/@v/v1.0.0.{extension}")
            assert answer.status == 403
            assert answer.text == (
                "purged: example.com/m0@v1.0.0 was removed from this proxy and is not served: leaked a key\n"
            )
        assert (await proxy.ask("/example.com/m0/@v/list")).text == ""
        assert (await proxy.ask("/example.com/m0/@latest")).status == 403
        assert upstream.requests["example.com/m0/@v/v1.0.0.zip"] == fetches
        assert json.loads((await proxy.ask("/catalog")).body)["modules"] == []
        assert await proxy.metric("athens_purged_versions") == 1
    async with serving(tmp_path, upstream.url) as proxy:
        assert await answers(proxy, 403)


async def test_a_version_may_be_fetched_again_once_that_is_allowed(
    upstream: GoProxyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], modules: list[SampleModule]
) -> None:
    async with serving(tmp_path, upstream.url) as proxy:
        assert await answers(proxy, 200)
        await command(capsys, proxy.store, "purge", "example.com/m0@v1.0.0")
        await until(lambda: answers(proxy, 403))

        status, document, _ = await command(capsys, proxy.store, "purge", "--allow-refetch", "example.com/m0@v1.0.0")

        assert (status, document["versions"][0]["tombstone_removed"]) == (0, True)
        await until(lambda: answers(proxy, 200))
        assert (await proxy.ask(ZIP)).body == modules[0].zip
        assert (await command(capsys, proxy.store, "purge", "--list"))[1] == {"purged": []}


async def test_the_purge_file_is_followed_while_it_changes(upstream: GoProxyServer, tmp_path: Path) -> None:
    listed = tmp_path / "purge.json"
    entry = {"module": "example.com/m0", "version": "v1.0.0", "reason": "withdrawn"}
    async with serving(tmp_path, upstream.url, ATHENS_PURGE_FILE=listed) as proxy:
        assert await answers(proxy, 200)
        assert await answers(proxy, 200, "/example.com/m1/@v/v1.0.0.zip")

        listed.write_text(json.dumps([entry]))
        await until(lambda: answers(proxy, 403))
        assert (await proxy.ask(ZIP)).text.endswith(": withdrawn\n")
        await until(lambda: has_no_zip_of_m0(proxy))
        assert await answers(proxy, 200, "/example.com/m1/@v/v1.0.0.zip")

        listed.write_text("[{")
        await until(lambda: _reload_failed(proxy))
        assert await answers(proxy, 403)

        listed.write_text("[]")
        await until(lambda: answers(proxy, 200))


def test_a_bad_purge_file_stops_the_start(tmp_path: Path) -> None:
    listed = tmp_path / "purge.json"
    listed.write_text('[{"module": "example.com/m0"}]')
    environ = {**os.environ, "ATHENS_PURGE_FILE": str(listed), "ATHENS_DISK_STORAGE_ROOT": str(tmp_path)}

    ended = subprocess.run(
        [sys.executable, "-m", "athens_proxy"], env=environ, capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        f"ATHENS_PURGE_FILE: {listed}: entry 0: it must have module and version, may have reason, and nothing else"
    )


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["purge"], "name at least one version"),
        (["purge", "example.com/m0"], "name a version as MODULE@VERSION"),
        (["purge", "example.com/m0@main"], "not a canonical version"),
        (["purge", "UPPER..x@v1.0.0"], "malformed module path"),
    ],
)
async def test_what_names_no_version_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], why: str
) -> None:
    status, _, told = await command(capsys, tmp_path, *argv)

    assert status == 2
    assert why in told
    assert told.count("\n") == 1


async def test_verify_is_clean_then_finds_flipped_bits_and_counts_evicted_zips(
    upstream: GoProxyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(tmp_path, upstream.url) as proxy:
        for number in range(4):
            assert await answers(proxy, 200, f"/example.com/m{number}/@v/v1.0.0.zip")
    store = tmp_path / "store"
    status, document, _ = await command(capsys, store, "verify")
    assert (status, document["stored"], document["sound"]) == (0, 4, 4)

    (store / "example.com/m1/v1.0.0" / layout.ZIP_NAME).unlink()
    zip_file = store / "example.com/m2/v1.0.0" / layout.ZIP_NAME
    data = bytearray(zip_file.read_bytes())
    data[len(data) // 2] ^= 1
    zip_file.write_bytes(data)
    (store / "example.com/m3/v1.0.0" / layout.MOD_NAME).write_text("module example.com/evil\n")

    status, document, _ = await command(capsys, store, "verify")

    assert status == 1
    assert (document["sound"], document["evicted"], document["damaged"]) == (1, 1, 2)
    assert {failure["module"] for failure in document["failures"]} == {"example.com/m2", "example.com/m3"}
    assert (await command(capsys, store, "verify", "--sample", "2"))[1]["checked"] == 2


async def _reload_failed(proxy: ServedProxy) -> bool:
    text = (await proxy.ask("/metrics")).text
    return "athens_purge_file_last_reload_successful 0.0" in text
