"""What the go command and git keep to themselves, and how it is found out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from athens_proxy.errors import CredentialRefused, ModuleNotFound, UpstreamTimeout
from athens_proxy.modules import ModulePath
from athens_proxy.upstream.git_words import hides_git, with_words_of_git
from athens_proxy.upstream.homes import UserHome
from athens_proxy.upstream.netrc_logins import with_netrc
from athens_proxy.upstream.process import Finished

HIDDEN = Finished(1, b'{"Error": "no secure protocol found for repository"}', b"")
ASKED = "not found: fetching x@v1.0.0: git ls-remote: could not read Username for 'https://{}': prompts disabled"


@pytest.mark.parametrize(
    ("netrc", "host", "is_refused"),
    [
        ("machine git.example.com login u password p\n", "git.example.com", True),
        ("machine other.example.com login u\nmachine git.example.com login t\n", "git.example.com", True),
        ("machine git.example.com\n\tlogin u\n\tpassword p\n", "git.example.com:8443", True),
        ("machine git.example.com login u password p\n", "u@git.example.com", True),
        ("machine git.example.com login u password p\n", "example.com", False),
        ("# machine-readable\n", "git.example.com", False),
        ("", "git.example.com", False),
    ],
)
def test_a_host_with_a_login_that_asks_for_one_refused_it(
    tmp_path: Path, netrc: str, host: str, is_refused: bool
) -> None:
    (tmp_path / ".netrc").write_text(netrc)
    home = with_netrc(UserHome({"HOME": str(tmp_path)}))
    error = ModuleNotFound(ASKED.format(host))

    explained = home.explained(error)

    assert isinstance(explained, CredentialRefused) is is_refused
    assert is_refused or explained is error
    assert " u " not in str(explained)


def test_other_failures_and_homes_without_a_file_stay_as_they_are(tmp_path: Path) -> None:
    slow, absent = UpstreamTimeout("slow"), ModuleNotFound(ASKED.format("git.example.com"))

    assert with_netrc(UserHome({"HOME": str(tmp_path)})).explained(absent) is absent
    (tmp_path / ".netrc").write_text("machine git.example.com login u password p\n")
    assert with_netrc(UserHome({"HOME": str(tmp_path)})).explained(slow) is slow


def test_only_failures_that_hide_git_are_asked_again() -> None:
    assert hides_git(HIDDEN)
    assert not hides_git(Finished(1, b"", b"fatal: not found"))
    assert not hides_git(Finished(0, HIDDEN.stdout, b""))
    assert not hides_git(Finished(-9, HIDDEN.stdout, b""))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('echo "$@" >&2; exit 128', b"ls-remote -q --end-of-options https://git.example.com/team/x\n"),
        ("exit 0", b"fatal: the repository answers now, and did not before"),
        ("kill -9 $$", b"fatal: git ended without a word"),
    ],
)
async def test_git_is_asked_for_the_repository_that_the_path_names(tmp_path: Path, script: str, said: bytes) -> None:
    git = tmp_path / "git"
    git.write_text(f"#!/bin/sh\n{script}\n")
    git.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    path = ModulePath.parse("git.example.com/team/x.git/sub")

    done = await with_words_of_git(HIDDEN, path, environment=environment, directory=tmp_path, timeout_s=20)

    assert (done.exit_code, done.stdout, done.stderr) == (1, b"", said)


async def test_a_path_without_a_repository_and_a_missing_git_change_nothing(tmp_path: Path) -> None:
    empty = {"PATH": str(tmp_path)}
    for text in ("git.example.com/team/x", "git.example.com/team/x.git"):
        path = ModulePath.parse(text)
        assert await with_words_of_git(HIDDEN, path, environment=empty, directory=tmp_path, timeout_s=20) is HIDDEN
