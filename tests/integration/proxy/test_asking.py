"""The program that git, ssh and go run for a credential, and the desk that answers it, over a real socket."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from athens_proxy.credentials import ask
from athens_proxy.credentials.desk import Desk, Run, desk_socket
from athens_proxy.credentials.entries import parse_entries
from athens_proxy.credentials.github_app import GitHubApps
from athens_proxy.credentials.goauth_command import Commands
from athens_proxy.credentials.keyring import Keyring
from athens_proxy.credentials.places import Place
from athens_proxy.upstream.outbound import OutboundProxies

ENTRIES: list[dict[str, Any]] = [
    {"name": "host", "type": "token", "match": "git.example.com"},
    {"name": "team", "type": "basic", "match": "git.example.com/team"},
    {"name": "ghost", "type": "token", "match": "git.example.com/ghost"},
    {"name": "key", "type": "ssh", "match": "git.example.com/team"},
]


@dataclass
class Asked:
    """A desk that is open, and one run of it."""

    folder: Path
    keyring: Keyring
    run: Run

    async def answer(self, kind: str, *arguments: str, name: str = "run-1", given: str = "") -> tuple[str, str, int]:
        """What the program prints, what it says to the developer, and its exit status."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", ask.__file__, kind, str(self.folder), name, *arguments),
            env={"PATH": f"{self.folder}:{os.environ['PATH']}"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(given.encode())
        return out.decode(), err.decode(), process.returncode or 0


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Asked]:
    folder = tmp_path / ("a-folder-whose-path-is-longer-than-the-address-of-a-socket-" * 2)
    (folder / "home").mkdir(parents=True)
    for name, files in {"host": {"token": "t"}, "team": {"username": "me", "password": "p"}}.items():
        (folder / "credentials" / name).mkdir(parents=True)
        for file, text in files.items():
            (folder / "credentials" / name / file).write_text(text)
    (folder / "ssh").write_text('#!/bin/sh\necho "ssh $@"\n')
    (folder / "ssh").chmod(0o755)
    listed = parse_entries(json.dumps({"credentials": ENTRIES}), folder=folder)
    session = object.__new__(aiohttp.ClientSession)  # no entry here asks anybody
    ring = Keyring(listed, apps=GitHubApps(session, OutboundProxies()), commands=Commands({}))
    desk, run = Desk(ring), Run(folder / "home", Place.of("git.example.com", None, "team/m"))
    desk.begin("run-1", run)
    async with await asyncio.start_unix_server(desk.serve, sock=desk_socket(folder)):
        yield Asked(folder, ring, run)


@pytest.mark.parametrize(
    ("question", "login"),
    [
        ("protocol=https\nhost=git.example.com\npath=other/m.git\n", "username=x-access-token\npassword=t\n"),
        ("protocol=https\nhost=git.example.com\npath=team/m.git\n", "username=me\npassword=p\n"),
        ("protocol=https\nhost=git.example.com\n", "username=x-access-token\npassword=t\n"),
        ("protocol=http\nhost=git.example.com\npath=team/m.git\n", ""),
        ("protocol=https\nhost=git.example.com:8443\npath=team/m.git\n", ""),
        ("protocol=https\nhost=other.example.com\npath=team/m.git\n", ""),
        ("nonsense", ""),
    ],
)
async def test_git_gets_the_login_of_a_place_over_https_alone(asked: Asked, question: str, login: str) -> None:
    assert await asked.answer("git", "get", given=question) == (login, "", 0)


async def test_a_fetch_that_has_ended_gets_nothing(asked: Asked) -> None:
    question = "protocol=https\nhost=git.example.com\n"

    assert await asked.answer("git", "get", name="run-0", given=question) == (
        "",
        "athens-proxy: this fetch has ended\n",
        0,
    )


async def test_what_git_says_of_a_login_is_remembered(asked: Asked) -> None:
    question = "protocol=https\nhost=git.example.com\npath=team/m.git\nusername=me\npassword=p\n"
    await asked.answer("git", "store", given=question)
    good = asked.keyring.standings.describe()[1]["state"]
    await asked.answer("git", "erase", given=question)

    assert (good, asked.keyring.standings.describe()[1]["state"]) == ("Valid", "Refused")
    assert asked.run.refused == ["team"]


async def test_a_login_that_cannot_be_shown_ends_the_question_and_is_told(asked: Asked) -> None:
    out, err, _ = await asked.answer("git", "get", given="protocol=https\nhost=git.example.com\npath=ghost/m\n")

    assert out == "quit=1\n"
    assert err.startswith('athens-proxy: credential "ghost": its file token cannot be read')
    assert asked.run.problems == [err.removeprefix("athens-proxy: ").rstrip()]


async def test_go_gets_a_header_for_each_page_that_a_module_may_have(asked: Asked) -> None:
    first, _, _ = await asked.answer("go")
    then, _, _ = await asked.answer("go", "https://git.example.com/team/m?go-get=1", given="HTTP/1.1 404 Not Found\n\n")

    blocks = dict(zip(first.split("\n\n")[::2], first.split("\n\n")[1::2], strict=False))
    assert list(blocks) == [
        f"https://git.example.com{path}{query}" for path in ("", "/team", "/team/m") for query in ("", "?go-get=1")
    ]
    assert len(set(blocks.values())) == 2
    assert then == f"https://git.example.com/team/m?go-get=1\n\n{blocks['https://git.example.com/team/m']}\n\n"
    assert asked.run.refused == []


async def test_ssh_uses_its_own_key_for_its_place_and_the_users_ssh_elsewhere(asked: Asked) -> None:
    elsewhere, _, _ = await asked.answer(
        "ssh", "ssh -v", "-p", "2222", "git@h.example.com", "git-upload-pack '/team/m'"
    )
    own, err, status = await asked.answer("ssh", "ssh", "git@git.example.com", "git-upload-pack '/team/m.git'")

    assert elsewhere == "ssh -v -p 2222 git@h.example.com git-upload-pack '/team/m'\n"
    assert (own, status) == ("", 255)
    assert 'credential "key": its file ssh-privatekey cannot be read' in err
