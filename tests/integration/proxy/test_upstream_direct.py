"""`direct` with the real go command and git, and with scripts in its place where it must misbehave."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from athens_proxy.errors import InvalidVersion, ModuleNotFound, ProxyError, UpstreamError, UpstreamTimeout
from athens_proxy.modules import ModulePath, ModuleVersion, RevInfo
from athens_proxy.upstream.go_command import GoCommand, GoSettings
from athens_proxy.upstream.go_environment import settings_of
from athens_proxy.upstream.vcs_cache import VcsCache
from support.ended_processes import still_running
from support.git_origin import GitOrigin
from support.modules_fixture import SampleModule

MakeGo = Callable[..., GoCommand]


@pytest.fixture
def origin(tmp_path: Path) -> GitOrigin:
    made = GitOrigin(tmp_path / "origins", "Upper")
    made.commit({"go.mod": f"module {made.path}\n\ngo 1.21\n", "m.go": "package m\n"}, tag="v1.0.0")
    retract = f"module {made.path}\n\ngo 1.21\n\nretract v1.1.0 // broken\n"
    made.commit({"go.mod": retract, "m.go": "package m // 2\n"}, tag="v1.1.0")
    return made


@pytest.fixture
def go(origin: GitOrigin, tmp_path: Path) -> MakeGo:
    def make(binary: str = "go", *, timeout_s: float = 120, **variables: str) -> GoCommand:
        scratch_root = tmp_path / "lists"
        scratch_root.mkdir(exist_ok=True)
        return GoCommand(
            GoSettings(
                binary=binary,
                process_environment={"PATH": os.environ["PATH"], "SECRET_OF_THE_PROXY": "x"},
                variables={"GOSUMDB": "off", "GOCACHE": "off", **origin.settings(), **variables},
                scratch_root=scratch_root,
                fetch_timeout_s=timeout_s,
                list_timeout_s=timeout_s,
            ),
            VcsCache(scratch_root),
        )

    return make


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def wanted(origin: GitOrigin, version: str) -> ModuleVersion:
    return ModuleVersion.parse(ModulePath.parse(origin.path), version)


def script(folder: Path, text: str) -> str:
    path = folder / "fake-go"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


async def test_a_tag_is_fetched_and_only_its_zip_remains(go: MakeGo, origin: GitOrigin, scratch: Path) -> None:
    fetched = await go().fetch(wanted(origin, "v1.0.0"), scratch)

    assert RevInfo.parse(fetched.info).version == "v1.0.0"
    assert fetched.mod.decode() == f"module {origin.path}\n\ngo 1.21\n"
    assert os.listdir(scratch) == ["module.zip"]
    assert fetched.zip_size_bytes == fetched.zip_path.stat().st_size
    assert fetched.zip_h1.startswith("h1:")


async def test_a_branch_becomes_a_pseudo_version(go: MakeGo, origin: GitOrigin, scratch: Path) -> None:
    commit = origin.commit({"m.go": "package m // 3\n"})
    info = await go().resolve(wanted(origin, "main"))
    fetched = await go().fetch(wanted(origin, "main"), scratch)

    assert info.version == f"v1.0.1-0.20200102030405-{commit[:12]}"
    assert fetched.wanted.version == info.version
    assert fetched.wanted.is_canonical


async def test_versions_hold_retracted_ones_too(go: MakeGo, origin: GitOrigin, tmp_path: Path) -> None:
    assert await go().versions(ModulePath.parse(origin.path)) == ["v1.0.0", "v1.1.0"]
    assert (await go().latest(ModulePath.parse(origin.path))).version == "v1.0.0"
    assert not os.listdir(tmp_path / "lists")


@pytest.mark.parametrize(
    "version", ["v9.9.9", "no-such-branch", "v1.0.0+incompatible", "v0.0.0-20200102030405-abcdefabcdef"]
)
async def test_what_the_origin_does_not_have_is_not_found(
    go: MakeGo, origin: GitOrigin, scratch: Path, version: str
) -> None:
    with pytest.raises(ModuleNotFound, match=r"^not found: "):
        await go().fetch(wanted(origin, version), scratch)


async def test_a_module_for_a_newer_go_says_what_to_do(go: MakeGo, origin: GitOrigin, scratch: Path) -> None:
    origin.commit({"go.mod": f"module {origin.path}\n\ngo 1.9999\n"}, tag="v1.2.0")

    with pytest.raises(UpstreamError, match="the proxy's Go is too old"):
        await go().fetch(wanted(origin, "v1.2.0"), scratch)


async def test_a_zip_beside_an_error_is_a_success(go: MakeGo, scratch: Path, tmp_path: Path) -> None:
    sample = SampleModule()
    answer = {"Version": "v1.0.0", "Error": "requires go >= 1.9999"}
    for name, data in (("Info", sample.info), ("GoMod", sample.mod), ("Zip", sample.zip)):
        answer[name] = str(tmp_path / name)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "answer.json").write_text(json.dumps(answer, indent="\t"))
    binary = script(tmp_path, f"cat {tmp_path}/answer.json; exit 1\n")

    fetched = await go(binary).fetch(sample.wanted, scratch)

    assert fetched.zip_path.read_bytes() == sample.zip


@pytest.mark.parametrize(
    "version", ["-x", "--upload-pack=x", "HEAD~1", "a..b", "@{1}", "x^", "patch", "a b", ".hidden"]
)
async def test_a_version_that_git_could_read_as_more_than_a_name_never_reaches_it(
    go: MakeGo, origin: GitOrigin, scratch: Path, tmp_path: Path, version: str
) -> None:
    binary = script(tmp_path, f"touch {tmp_path}/ran\n")
    for attempt in (go(binary).fetch(wanted(origin, version), scratch), go(binary).resolve(wanted(origin, version))):
        with pytest.raises(InvalidVersion):
            await attempt

    assert not (tmp_path / "ran").exists()


async def test_an_address_of_a_machine_is_no_origin(go: MakeGo, tmp_path: Path) -> None:
    binary = script(tmp_path, f"touch {tmp_path}/ran\n")
    with pytest.raises(ModuleNotFound, match="IP address"):
        await go(binary).versions(ModulePath.parse("169.254.169.254/latest"))

    assert not (tmp_path / "ran").exists()


async def test_arguments_stand_behind_the_end_of_options(go: MakeGo, origin: GitOrigin, tmp_path: Path) -> None:
    binary = script(tmp_path, f'for a in "$@"; do echo "$a" >> {tmp_path}/arguments; done; exit 1\n')
    with pytest.raises(ProxyError):
        await go(binary).resolve(wanted(origin, "main"))

    assert (tmp_path / "arguments").read_text().split("\n")[-3:-1] == ["--", f"{origin.path}@main"]


async def test_the_environment_holds_nothing_of_the_proxys_own(go: MakeGo, origin: GitOrigin, tmp_path: Path) -> None:
    binary = script(tmp_path, f"env > {tmp_path}/environment; pwd > {tmp_path}/directory; exit 1\n")
    with pytest.raises(ProxyError):
        await go(binary, GOPROXY="https://proxy.example.com,direct", GOFLAGS="-x").resolve(wanted(origin, "main"))
    lines = (tmp_path / "environment").read_text().splitlines()

    assert not [line for line in lines if "SECRET" in line]
    assert {"GOPROXY=direct", "GOFLAGS=-x -modcacherw", "GOTOOLCHAIN=local", "GIT_TERMINAL_PROMPT=0"} <= set(lines)


async def test_a_run_beyond_its_deadline_is_killed_with_its_children(
    go: MakeGo, origin: GitOrigin, scratch: Path, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    binary = script(tmp_path, f"echo $$ > {pids}; sleep 600 & echo $! >> {pids}; wait\n")
    started = asyncio.get_running_loop().time()

    with pytest.raises(UpstreamTimeout, match="not done within"):
        await go(binary, timeout_s=2.0).fetch(wanted(origin, "v1.0.0"), scratch)

    assert asyncio.get_running_loop().time() - started < 30
    assert await still_running([int(pid) for pid in pids.read_text().split()]) == []


async def test_a_cancelled_run_is_killed_with_its_children(
    go: MakeGo, origin: GitOrigin, scratch: Path, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    binary = script(tmp_path, f"sleep 600 & echo $! > {pids}.part; mv {pids}.part {pids}; wait\n")
    fetch = asyncio.create_task(go(binary).fetch(wanted(origin, "v1.0.0"), scratch))
    async with asyncio.timeout(60):
        while not pids.exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.01)
    fetch.cancel()

    with pytest.raises(asyncio.CancelledError):
        await fetch
    assert await still_running([int(pids.read_text())]) == []


async def test_a_flood_of_output_is_bounded(go: MakeGo, origin: GitOrigin, tmp_path: Path) -> None:
    binary = script(tmp_path, "head -c 200000000 /dev/zero | tr '\\0' 'x' >&2; exit 1\n")

    with pytest.raises(ModuleNotFound) as caught:
        await go(binary).resolve(wanted(origin, "main"))
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "text", ["exit 0\n", "echo nonsense\n", "echo '[]'\n", "echo '{}'\n", 'echo \'{"Version":"main"}\'\n']
)
async def test_an_answer_that_is_none_is_a_failure(
    go: MakeGo, origin: GitOrigin, scratch: Path, tmp_path: Path, text: str
) -> None:
    with pytest.raises(ProxyError):
        await go(script(tmp_path, text)).fetch(wanted(origin, "v1.0.0"), scratch)
    with pytest.raises(ProxyError):
        await go(script(tmp_path, text)).resolve(wanted(origin, "main"))


async def test_a_missing_go_command_names_the_setting(go: MakeGo, origin: GitOrigin, tmp_path: Path) -> None:
    with pytest.raises(ProxyError, match="set GoBinary"):
        await go(str(tmp_path / "no-such-go")).resolve(wanted(origin, "main"))


def test_later_settings_win() -> None:
    assert settings_of(["GOPROXY=a", "A=b=c", "GOPROXY=direct"]) == {"GOPROXY": "direct", "A": "b=c"}


def test_the_tools_are_there() -> None:
    assert shutil.which("go")
    assert shutil.which("git")
