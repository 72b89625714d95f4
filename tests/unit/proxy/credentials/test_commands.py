"""Credentials that a command prints in the format of GOAUTH."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from athens_proxy.credentials.entries import Entry, parse_entries
from athens_proxy.credentials.goauth_command import Commands
from athens_proxy.credentials.logins import login_of_header
from athens_proxy.credentials.secret_files import Unusable

BASIC = f"Basic {base64.b64encode(b'me:s3cret').decode()}"


def entry(folder: Path, script: str) -> Entry:
    program = folder / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    item = {"name": "e", "type": "command", "match": "git.example.com/team", "command": [str(program), "first"]}
    return parse_entries(json.dumps({"credentials": [item]}), folder=folder)[0]


def commands() -> Commands:
    return Commands({"PATH": os.environ["PATH"], "SECRET_OF_THE_PROXY": "x"})


@pytest.mark.parametrize(
    ("printed", "login"),
    [
        (f"https://git.example.com\n\nAuthorization: {BASIC}\n\n", ("me", "s3cret")),
        ("https://git.example.com/team\n\nauthorization: Bearer t0ken\n\n", ("x-access-token", "t0ken")),
        (
            f"https://a.example.com\nhttps://git.example.com\n\nX-Extra: 1\nAuthorization: {BASIC}\n\n",
            ("me", "s3cret"),
        ),
        (
            "https://git.example.com\n\nAuthorization: Bearer no\n\n"
            f"https://git.example.com/team\n\nAuthorization: {BASIC}",
            ("me", "s3cret"),
        ),
    ],
)
async def test_the_longest_printed_address_counts(tmp_path: Path, printed: str, login: tuple[str, str]) -> None:
    (tmp_path / "out").write_text(printed)

    found = await commands().login(entry(tmp_path, f"cat {tmp_path}/out"))

    assert (found.user, found.password) == login


async def test_a_command_that_prints_nothing_at_first_is_asked_for_the_address(tmp_path: Path) -> None:
    script = f'[ $# = 1 ] || printf "$2\\n\\nAuthorization: {BASIC}\\n\\n"'

    found = await commands().login(entry(tmp_path, script))

    assert found.password == "s3cret"


async def test_what_a_command_gave_is_kept_until_a_server_refuses_it(tmp_path: Path) -> None:
    script = f'echo x >> {tmp_path}/runs; printf "https://git.example.com\\n\\nAuthorization: {BASIC}\\n\\n"'
    command, asked = entry(tmp_path, script), commands()

    login = await asked.login(command)
    await asked.login(command)
    asked.forget(command, "of before")
    await asked.login(command)
    kept = (tmp_path / "runs").read_text().count("x")
    asked.forget(command, login.authorization)
    await asked.login(command)

    assert (kept, (tmp_path / "runs").read_text().count("x")) == (1, 2)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo s3cret >&2; exit 3", "its command exited with 3"),
        ("echo http://git.example.com", "an address without https://"),
        ("echo https://", "a malformed address"),
        ("true", "printed no basic or bearer Authorization for https://git.example.com/team"),
        ("printf 'https://git.example.com\\n\\nAuthorization: Digest s3cret\\n\\n'", "printed no basic or bearer"),
    ],
)
async def test_what_is_wrong_with_a_command_is_said_without_what_it_printed(
    tmp_path: Path, script: str, told: str
) -> None:
    with pytest.raises(Unusable, match=told) as caught:
        await commands().login(entry(tmp_path, script))

    assert "s3cret" not in str(caught.value)


async def test_a_command_sees_nothing_of_the_proxy(tmp_path: Path) -> None:
    script = f'env > {tmp_path}/env; printf "https://git.example.com\\n\\nAuthorization: {BASIC}\\n\\n"'

    await commands().login(entry(tmp_path, script))

    assert "SECRET_OF_THE_PROXY" not in (tmp_path / "env").read_text()


@pytest.mark.parametrize("header", ["", "Basic", "Basic !", "Basic bWU=", "Negotiate x", "Bearer ", "Basic bWU6"])
def test_a_header_that_git_could_not_send_is_no_login(header: str) -> None:
    assert login_of_header("e", header) is None
