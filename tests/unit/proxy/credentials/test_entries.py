"""The credentials file: what is read, and what malformed files are told."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athens_proxy.credentials.entries import InvalidCredentials, Kind, parse_entries

HOME = Path("/etc/athens/config")
TOKEN = {"name": "git", "type": "token", "match": "git.example.com"}


def parsed(*entries: Any, **keys: Any) -> Any:
    return parse_entries(json.dumps({"credentials": list(entries), **keys}), folder=HOME)


def test_the_secrets_of_an_entry_are_the_files_of_its_folder() -> None:
    basic = {"name": "b", "type": "basic", "match": "h.example.com", "files": {"password": "pw"}}

    (entry,) = parsed(basic, dir="/etc/athens/credentials")
    (beside,) = parsed(basic)

    folder = Path("/etc/athens/credentials/b")
    assert entry.files == {"username": folder / "username", "password": folder / "pw"}
    assert beside.files["username"] == HOME / "credentials/b/username"


def test_an_ssh_entry_rewrites_its_place_unless_it_says_otherwise() -> None:
    ssh = {"name": "s", "type": "ssh", "match": "git.example.com/team"}

    assert parsed(ssh)[0].instead_of == ("https://git.example.com/team",)
    assert parsed({**ssh, "insteadOf": []})[0].instead_of == ()
    assert (parsed(ssh)[0].port, parsed(ssh)[0].checks_host_key) == (22, True)


def test_an_app_asks_the_server_of_its_place() -> None:
    app = {"name": "a", "type": "githubApp", "appID": 1, "installationID": "2"}

    assert parsed({**app, "match": "github.com/x"})[0].api_url == "https://api.github.com"
    assert parsed({**app, "match": "ghe.example.com"})[0].api_url == "https://ghe.example.com/api/v3"
    assert (
        parsed({**app, "match": "h", "apiURL": "https://api.example.com/v3/"})[0].api_url
        == "https://api.example.com/v3"
    )
    assert (parsed({**app, "match": "h"})[0].app_id, parsed({**app, "match": "h"})[0].installation_id) == ("1", "2")


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([3], "credentials[0]: must be an object"),
        ([{}], "credentials[0].name: is missing"),
        ([{"name": "../x"}], "credentials[0].name: use at most 63"),
        ([{"name": "x"}], "credentials[x].type: is missing"),
        ([{**TOKEN, "match": "https://git.example.com"}], "credentials[git].match: use a host"),
        ([{"name": "git", "type": "token"}], "credentials[git].match: is missing"),
        ([{**TOKEN, "secret": "x"}], "credentials[git]: unknown key 'secret'"),
        ([{**TOKEN, "port": 22}], "credentials[git]: unknown key 'port'"),
        ([{**TOKEN, "files": {"token": "../x"}}], "credentials[git].files.token: use the name of a file"),
        ([{**TOKEN, "files": {"key": "x"}}], "credentials[git].files: unknown key 'key'"),
        ([{**TOKEN, "username": "a\nb"}], "credentials[git].username: use letters"),
        ([TOKEN, TOKEN], "credentials[git]: the name is used twice"),
        ([{"name": "a", "type": "netrc"}, {"name": "b", "type": "netrc"}], "credentials[b]: there is another entry"),
        ([{"name": "a", "type": "netrc", "match": "h"}], "credentials[a]: unknown key 'match'"),
        ([{"name": "s", "type": "ssh", "match": "h", "port": 0}], "credentials[s].port: use a number"),
        ([{"name": "s", "type": "ssh", "match": "h:22"}], "credentials[s].match: write the port of ssh as port"),
        ([{"name": "s", "type": "ssh", "match": "h", "insteadOf": ["x"]}], "credentials[s].insteadOf: use addresses"),
        (
            [{"name": "s", "type": "ssh", "match": "h", "insteadOf": ["https://x/"] * 9}],
            "credentials[s].insteadOf: must",
        ),
        (
            [{"name": "s", "type": "ssh", "match": "h", "insecureIgnoreHostKey": 1}],
            "credentials[s].insecureIgnoreHostKey",
        ),
        ([{"name": "a", "type": "githubApp", "match": "h"}], "credentials[a].appID: must be the number"),
        (
            [{"name": "a", "type": "githubApp", "match": "h", "appID": 1, "installationID": 2, "apiURL": "http://h"}],
            "credentials[a].apiURL: use an https:// address",
        ),
        ([{"name": "c", "type": "command", "match": "h"}], "credentials[c].command: must be a list"),
        ([{**TOKEN, "name": f"n{number}"} for number in range(65)], "credentials: 65 entries; use at most 64"),
    ],
)
def test_a_malformed_entry_is_named_with_its_key_and_what_is_allowed(entries: list[Any], told: str) -> None:
    with pytest.raises(InvalidCredentials, match=f"^{re.escape(told)}"):
        parsed(*entries)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"credentials": {}}', "[" * 100_000, '{"credentials": [], "x": 1}'])
def test_what_is_no_such_file_is_refused(text: str) -> None:
    with pytest.raises(InvalidCredentials):
        parse_entries(text, folder=HOME)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_KEYS = [
    "name",
    "type",
    "match",
    "port",
    "insteadOf",
    "appID",
    "installationID",
    "apiURL",
    "command",
    "files",
    "username",
]


@given(st.dictionaries(st.sampled_from(_KEYS), _JSON, max_size=6), st.sampled_from(list(Kind)))
def test_no_text_makes_anything_but_entries_or_one_line(item: dict[str, Any], kind: Kind) -> None:
    entry = {"name": "n", "type": str(kind), "match": "h.example.com", **item}

    with suppress(InvalidCredentials):
        assert len(parsed(entry)) == 1
