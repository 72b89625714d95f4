"""What one fetch may write, and how one that writes more ends."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from athens_proxy.errors import UpstreamError
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.upstream.go_command import GoCommand, GoSettings
from athens_proxy.upstream.quota import QuotaExceeded, within_quota
from athens_proxy.upstream.vcs_cache import VcsCache
from support.ended_processes import still_running

WANTED = ModuleVersion.parse(ModulePath.parse("git.example.com/a/huge"), "v1.0.0")


async def test_a_fetch_that_writes_too_much_is_ended_with_all_its_processes(tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.write_text(
        f"#!/bin/sh\necho $$ > {tmp_path}/pids\nsleep 300 &\necho $! >> {tmp_path}/pids\n"
        'head -c 3000000 /dev/zero > "$GOPATH/big"\nwait\n'
    )
    go.chmod(0o755)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    settings = GoSettings(str(go), {"PATH": os.environ["PATH"]}, {}, tmp_path, max_bytes=2_000_000)

    with pytest.raises(UpstreamError, match="its repository needs more than 2000000 bytes; raise GoGetMaxBytes"):
        await GoCommand(settings, VcsCache(tmp_path)).fetch(WANTED, scratch)

    assert await still_running(map(int, (tmp_path / "pids").read_text().split())) == []


async def test_only_what_is_added_counts(tmp_path: Path) -> None:
    (tmp_path / "before").write_bytes(b"x" * 1000)

    async def work() -> str:
        (tmp_path / "added").write_bytes(b"x" * 10)
        return "done"

    assert await within_quota(work(), [tmp_path], max_bytes=10) == "done"


async def test_a_failure_of_the_work_is_its_own(tmp_path: Path) -> None:
    async def work() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await within_quota(work(), [tmp_path], max_bytes=10)


async def test_the_work_has_ended_when_its_quota_has(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def work() -> None:
        (tmp_path / "added").write_bytes(b"x" * 11)
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(QuotaExceeded):
        await within_quota(work(), [tmp_path], max_bytes=10)
    assert ended.is_set()
