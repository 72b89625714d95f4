"""Whatever a client asks for, it chooses no option of the `go` command, of git, and no word of a shell.

One test makes up requests and looks at what a recording command in the place of `go` is given; the other runs the real
`go` with a recording git.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings

from athens_proxy.errors import ModuleNotFound, ProxyError
from athens_proxy.upstream.go_command import GoCommand, GoSettings
from athens_proxy.upstream.vcs_cache import VcsCache
from athens_proxy.web.targets import FileTarget, LatestTarget, ListTarget, Target, target
from support.go_names import FILES, PATHS, request_target
from support.proxy_process import Settings, running
from support.sample_modules import Repositories

# Every word that may stand before `--`, which go reads as the end of its flags.
FLAGS = ({"mod", "download", "-json"}, {"list", "-m", "-json"}, {"list", "-m", "-versions", "-retracted", "-json"})
MODULE = re.compile(r"(?!-)[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*", re.ASCII)
NAME = re.compile(r"(?![-.])[A-Za-z0-9#$%&()+,.=@\]_{}-]+", re.ASCII)


@contextmanager
def recording(folder: Path, *, name: str, then: str) -> Iterator[Path]:
    """A command of this name in a folder; its record has every call, with control signs as ends."""
    record = folder / f"{name}.record"
    record.touch()
    command = folder / name
    command.write_text(f"#!/bin/sh\nprintf '%s\\001' \"$@\" >> {record}\nprintf '\\002' >> {record}\n{then}\n")
    command.chmod(0o755)
    yield record


def calls(record: Path) -> list[list[str]]:
    """The arguments of every call."""
    whole = record.read_text(errors="surrogateescape")
    return [call.split("\1")[:-1] for call in whole.split("\2")[:-1]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("arguments")


@settings(max_examples=150, deadline=None, derandomize=True)
@example(path="example.com/m", file="@v/v1.0.0.zip")
@example(path="example.com/m", file="@v/main.info")
@example(path="example.com/-x", file="@latest")
@example(path="example.com/m/v2", file="@v/v2.0.0-20200102030405-abcdefabcdef.mod")
@example(path="example.com/m", file="@v/v2.0.0+incompatible.zip")
@example(path="-x.example.com/m", file="@v/list")
@example(path="example.com/m", file="@v/--upload-pack=x.info")
@example(path="example.com/m", file=f"@v/v{'9' * 4000}.0.0.info")
@given(path=PATHS, file=FILES)
def test_no_request_makes_the_go_command_see_a_flag(path: str, file: str, folder: Path) -> None:
    with recording(folder, name="go", then="exit 1") as record, suppress(ModuleNotFound):
        asked = target(request_target(path, file), prefix="")
        asyncio.run(asked_upstream(asked, folder))
    given_to_go = calls(record)
    record.unlink()

    for arguments in given_to_go:
        assert arguments.count("--") == 1
        assert set(arguments[:-2]) in FLAGS
        assert arguments[-2] == "--"
        module, _, version = arguments[-1].partition("@")
        assert MODULE.fullmatch(module), arguments
        assert NAME.fullmatch(version), arguments
        assert "..." not in module


def test_the_recording_command_records(folder: Path) -> None:
    """Without this the test above would pass with a command that never runs."""
    with recording(folder, name="go", then="exit 1") as record:
        asyncio.run(asked_upstream(target("/example.com/m/@v/v1.0.0.zip", prefix=""), folder))
    seen = calls(record)
    record.unlink()

    assert seen == [["mod", "download", "-json", "--", "example.com/m@v1.0.0"]]


async def asked_upstream(asked: Target, folder: Path) -> None:
    """What the proxy asks an origin for a target that its store does not have."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        command = GoCommand(
            GoSettings(str(folder / "go"), {"PATH": os.environ["PATH"]}, {}, Path(scratch)), VcsCache(Path(scratch))
        )
        with suppress(ProxyError):
            match asked:
                case ListTarget(path=path):
                    await command.versions(path)
                case LatestTarget(path=path):
                    await command.latest(path)
                case FileTarget(wanted=wanted) if wanted.is_canonical:
                    own = Path(scratch) / "own"
                    own.mkdir()
                    await command.fetch(wanted, own)
                case FileTarget(wanted=wanted):
                    await command.resolve(wanted)
                case _:
                    """No module's."""


HOSTILE = (
    "-zzq", "--upload-pack=zzq", "-ozzq", "zzq;touch zzq", "$(touch zzq)", "`touch zzq`", "zzq|touch zzq", "refs-zzq",
    "zzq@x", "zzq..main", "zzq^{}", "zzq~1", "zzq:zzq", "v1.0.0-zzq", "v1.0.0+zzq", "{zzq}", "zzq=", "(zzq)",
)  # fmt: skip


def test_no_version_becomes_an_option_of_git_or_a_word_of_a_shell(repositories: Repositories, tmp_path: Path) -> None:
    commands = tmp_path / "commands"
    commands.mkdir()
    with recording(commands, name="git", then=f'exec {shutil.which("git")} "$@"') as record:
        env = {"PATH": f"{commands}:{os.environ['PATH']}"}
        with running(tmp_path / "proxy", Settings("direct", repositories.go_env(), env=env)) as proxy:
            assert proxy.ask("/github.com/acme/widget/@v/dev@x.info").status == 200
            for version in HOSTILE:
                answer = proxy.ask(f"/github.com/acme/widget/@v/{quote(version, safe='+')}.info")
                assert answer.status == (200 if version.startswith("v1.0.0+") else 404), (version, answer.text)
            log = proxy.process.logged()
        seen = calls(record)

    given_to_git = [argument for arguments in seen for argument in arguments]
    assert [argument for argument in given_to_git if "dev@x" in argument] != [], "a name that exists does reach git"
    assert [argument for argument in given_to_git if "zzq" in argument and argument.startswith("-")] == []
    assert list(tmp_path.rglob("zzq")) == []
    assert "Traceback" not in log
