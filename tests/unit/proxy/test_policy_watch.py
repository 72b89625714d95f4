"""The policy follows its file, also through the link swap of a ConfigMap, and a bad file changes nothing."""

from __future__ import annotations

import asyncio
import base64
import os
from pathlib import Path

import pytest

from athens_policy.decide import digest
from athens_proxy.policy.enforced import EnforcedPolicy
from athens_proxy.policy.source import INLINE_BYTES, PolicyRefused, load_setting
from athens_proxy.policy.watch import PolicyWatch
from support.proxy_parts import download_file

GOOD = download_file()
DENYING = download_file('download "example.com/m" {\n  mode = "deny"\n  name = "n"\n}')
BAD = download_file('download "example.com/m" {\n  mode = "denied"\n}')


def write(path: Path, content: str | bytes) -> None:
    """Replace the file's content in place."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "download.hcl"
    path.write_text(GOOD)
    return path


@pytest.fixture
def enforced(file: Path) -> EnforcedPolicy:
    return EnforcedPolicy(load_setting(f"file:{file}", download_url=""))


@pytest.fixture
def results() -> list[str]:
    return []


@pytest.fixture
def watch(file: Path, enforced: EnforcedPolicy, results: list[str]) -> PolicyWatch:
    return PolicyWatch(file, enforced, on_reload=results.append)


async def test_a_changed_file_is_enforced(
    file: Path, enforced: EnforcedPolicy, watch: PolicyWatch, results: list[str]
) -> None:
    await watch.look()
    write(file, DENYING)

    await watch.look()
    await watch.look()

    assert enforced.loaded.digest == digest(DENYING.encode())
    assert len(enforced.loaded.file.blocks) == 1
    assert results == ["success"]


async def test_the_link_swap_of_a_config_map_is_seen(tmp_path: Path) -> None:
    for name, text in (("..1", GOOD), ("..2", DENYING)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "download.hcl").write_text(text)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "download.hcl").symlink_to("..data/download.hcl")
    file = tmp_path / "download.hcl"
    enforced = EnforcedPolicy(load_setting(f"file:{file}", download_url=""))
    watch = PolicyWatch(file, enforced, on_reload=lambda _: None)
    await watch.look()

    (tmp_path / "..data_tmp").symlink_to("..2")
    os.rename(tmp_path / "..data_tmp", tmp_path / "..data")
    await watch.look()

    assert enforced.loaded.digest == digest(DENYING.encode())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BAD.encode(), "line 4, column"),
        (b"\xff", "not UTF-8"),
        (b"", "line 1"),
        (b"x" * 300_000, "262144"),
    ],
    ids=["mode", "encoding", "empty", "size"],
)
async def test_a_bad_file_is_refused_and_the_last_good_one_stays(
    file: Path, enforced: EnforcedPolicy, watch: PolicyWatch, results: list[str], content: bytes, message: str
) -> None:
    write(file, content)

    await watch.look()

    assert enforced.loaded.digest == digest(GOOD.encode())
    assert enforced.last_error is not None
    assert message in enforced.last_error.message
    assert enforced.last_error.digest.startswith("sha256:")
    assert results == ["failure"]


async def test_a_file_that_vanished_is_refused_once(
    file: Path, enforced: EnforcedPolicy, watch: PolicyWatch, results: list[str]
) -> None:
    await watch.look()
    os.unlink(file)

    await watch.look()
    await watch.look()

    assert enforced.last_error is not None
    assert "no such file or directory" in enforced.last_error.message
    assert (enforced.last_error.digest, results) == ("", ["failure"])


async def test_a_pipe_in_the_place_of_the_file_holds_nobody_up(
    file: Path, enforced: EnforcedPolicy, watch: PolicyWatch
) -> None:
    os.unlink(file)
    os.mkfifo(file)
    await asyncio.wait_for(watch.look(), 20)
    refusal = enforced.last_error

    os.unlink(file)
    write(file, DENYING)
    await watch.look()

    assert refusal is not None
    assert "no regular file" in refusal.message
    assert enforced.last_error is None


async def test_going_back_to_what_is_enforced_clears_the_error(
    file: Path, enforced: EnforcedPolicy, watch: PolicyWatch
) -> None:
    write(file, BAD)
    await watch.look()
    assert enforced.last_error is not None

    write(file, GOOD)
    await watch.look()

    assert enforced.last_error is None


async def test_a_large_file_is_parsed_in_a_process_that_is_gone_afterwards(
    file: Path, enforced: EnforcedPolicy, watch: PolicyWatch
) -> None:
    blocks = [f'download "example.com/m{n}" {{\n  mode = "none"\n}}' for n in range(400)]
    text = download_file(*blocks)
    assert len(text) > INLINE_BYTES
    write(file, text)
    await watch.look()
    assert (enforced.last_error, len(enforced.loaded.file.blocks)) == (None, 400)

    write(file, download_file(*blocks, 'download "x" { mode = "bogus" }'))
    await watch.look()

    assert enforced.last_error is not None
    assert enforced.last_error.message.startswith("line 120")
    assert len(enforced.loaded.file.blocks) == 400


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("bogus", "unrecognized download mode: bogus"),
        ("custom:%%", "illegal base64 data at input byte 0"),
        ("file:/nowhere/download.hcl", "open /nowhere/download.hcl: no such file or directory"),
    ],
)
def test_a_bad_setting_is_refused_at_the_start(setting: str, message: str) -> None:
    with pytest.raises(PolicyRefused, match=message):
        load_setting(setting, download_url="")


def test_a_bare_mode_has_the_digest_of_its_rendered_file() -> None:
    loaded = load_setting("sync", download_url="")

    assert (loaded.source, loaded.digest) == ("sync", digest(b'mode = "sync"\ndownloadURL = ""\n'))


def test_a_custom_setting_has_the_digest_of_its_bytes() -> None:
    loaded = load_setting(f"custom:{base64.b64encode(DENYING.encode()).decode()}", download_url="")

    assert (loaded.source, loaded.digest) == ("custom", digest(DENYING.encode()))
