"""What git is told: helpers for the hosts of entries, and which addresses become ssh."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from athens_proxy.credentials.entries import Entry, parse_entries
from athens_proxy.credentials.git_settings import as_variables, git_settings
from athens_proxy.credentials.places import Place

HELPER = ["/opt/my python", "ask.py"]
TOKEN = {"type": "token", "match": "git.example.com/team/https"}
SSH = {"type": "ssh", "match": "git.example.com/team"}


def entries(*items: dict[str, Any]) -> tuple[Entry, ...]:
    named = [{"name": f"e{number}", **item} for number, item in enumerate(items)]
    return parse_entries(json.dumps({"credentials": named}), folder=Path("/"))


def rewritten(module: str, *items: dict[str, Any]) -> dict[str, str]:
    host, *path = module.split("/")
    place = Place.of(host, None, "/".join(path))
    found = git_settings(entries(*items), helper=HELPER, module=place)
    return {old: name.removeprefix("url.").removesuffix(".insteadOf") for name, old in found if name.startswith("url.")}


def test_each_host_has_our_helper_alone_with_the_path() -> None:
    found = git_settings(entries(TOKEN, TOKEN), helper=HELPER, module=Place("m.example.com", None, ()))

    assert [pair for pair in found if pair[0].startswith("credential.")] == [
        ("credential.https://git.example.com.helper", ""),
        ("credential.https://git.example.com.helper", "!'/opt/my python' ask.py"),
        ("credential.https://git.example.com.useHttpPath", "true"),
    ]


@pytest.mark.parametrize(
    ("module", "items", "wanted"),
    [
        (
            "git.example.com/team/x",
            [SSH],
            {
                "https://git.example.com/team/": "ssh://git@git.example.com/team/",
                "https://git.example.com/team": "ssh://git@git.example.com/team",
            },
        ),
        ("git.example.com/team-b/x", [SSH], {"https://git.example.com/team/": "ssh://git@git.example.com/team/"}),
        (
            "git.example.com/x",
            [{**SSH, "match": "git.example.com", "port": 2222, "username": "me"}],
            {"https://git.example.com/": "ssh://me@git.example.com:2222/"},
        ),
        ("git.example.com/x", [{**SSH, "insteadOf": []}], {}),
        (
            "code.example.com/x",
            [{**SSH, "insteadOf": ["https://code.example.com/"]}],
            {"https://code.example.com/": "ssh://git@git.example.com/team/"},
        ),
        (
            "git.example.com/x",
            [SSH, TOKEN],
            {
                "https://git.example.com/team/": "ssh://git@git.example.com/team/",
                "https://git.example.com/team": "ssh://git@git.example.com/team",
                "https://git.example.com/team/https/": "https://git.example.com/team/https/",
                "https://git.example.com/team/https": "https://git.example.com/team/https",
            },
        ),
    ],
)
def test_addresses_of_ssh_entries_become_ssh(module: str, items: list[dict[str, Any]], wanted: dict[str, str]) -> None:
    assert rewritten(module, *items) == wanted


def test_plain_http_is_refused_unless_it_was_allowed() -> None:
    place = Place("m.example.com", None, ())

    assert ("protocol.http.allow", "never") in git_settings((), helper=HELPER, module=place)
    assert ("protocol.http.allow", "never") not in git_settings((), helper=HELPER, module=place, allows_http=True)


def test_settings_come_after_those_that_are_there() -> None:
    present = {"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_1": "a.b"}

    assert as_variables([("x.y", "1")], present) == {
        "GIT_CONFIG_COUNT": "3",
        "GIT_CONFIG_KEY_2": "x.y",
        "GIT_CONFIG_VALUE_2": "1",
    }
