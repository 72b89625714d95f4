"""The home of one run: what is in it, what it says to git, and that nothing of it is left."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from athens_proxy.credentials.desk import Desk, desk_socket
from athens_proxy.credentials.entries import Entry, parse_entries
from athens_proxy.credentials.github_app import GitHubApps
from athens_proxy.credentials.goauth_command import Commands
from athens_proxy.credentials.keyring import Keyring
from athens_proxy.credentials.private_homes import PrivateHomes, UserFiles
from athens_proxy.errors import CredentialRefused, CredentialUnusable, ModuleNotFound, StorageError, UpstreamTimeout
from athens_proxy.modules import ModulePath
from athens_proxy.upstream.outbound import OutboundProxies

MODULE = ModulePath.parse("git.example.com/team/m")


def homes(root: Path, *entries: dict[str, Any], files: UserFiles | None = None, has_hg: bool = False) -> PrivateHomes:
    listed = parse_entries(json.dumps({"credentials": list(entries)}), folder=root)
    ring = keyring(*listed)
    return PrivateHomes(root, (files or UserFiles()).with_entries(listed), ring, desk=Desk(ring), has_hg=has_hg)


def keyring(*listed: Entry) -> Keyring:
    session = object.__new__(aiohttp.ClientSession)  # no entry here asks anybody
    return Keyring(listed, apps=GitHubApps(session, OutboundProxies()), commands=Commands({}))


def names_in(folder: str | Path) -> set[str]:
    return {entry.name for entry in Path(folder).iterdir()}


def content(home: str, name: str) -> tuple[str, int]:
    """The text of a file and its permission bits."""
    path = Path(home, name)
    return path.read_text(), path.stat().st_mode & 0o777


def target(home: str, name: str) -> Path:
    return Path(home, name).readlink()


async def test_a_home_has_the_files_of_the_settings_and_links_to_the_rest(tmp_path: Path) -> None:
    user, root = tmp_path / "user", tmp_path / "root"
    (user / ".ssh").mkdir(parents=True)
    (user / ".netrc").write_text("the user's own")
    (user / "modules").mkdir()
    root.mkdir()
    (tmp_path / "one").write_text("machine a login u password p")
    (tmp_path / "two").write_text("machine b login u password p\n")
    files = UserFiles({".netrc": [("NETRCPath", tmp_path / "one"), ("more", tmp_path / "two")]})

    async with homes(root, files=files).open(MODULE, {"HOME": str(user), "PATH": "/bin"}) as home:
        names = names_in(home.environment["HOME"])
        netrc, mode = content(home.environment["HOME"], ".netrc")
        linked = target(home.environment["HOME"], ".ssh")

    assert names == {".netrc", ".ssh"}
    assert netrc == "machine a login u password p\nmachine b login u password p\n"
    assert (mode, linked) == (0o600, user / ".ssh")
    assert home.environment["PATH"] == "/bin"
    assert names_in(root) == set()
    assert (user / ".netrc").read_text() == "the user's own"


@pytest.mark.parametrize("home", [{}, {"HOME": ""}, {"HOME": "/nowhere"}])
async def test_a_missing_home_is_no_obstacle(tmp_path: Path, home: dict[str, str]) -> None:
    async with homes(tmp_path).open(MODULE, home) as made:
        assert names_in(made.environment["HOME"]) == set()


async def test_variables_of_the_user_are_kept_where_ours_have_room_for_them(tmp_path: Path) -> None:
    ssh = {"name": "s", "type": "ssh", "match": "git.example.com"}
    own = {"GIT_SSH_COMMAND": "ssh -v", "GOAUTH": "git /x", "GIT_CONFIG_GLOBAL": "/my/config", "GIT_CONFIG_COUNT": "1"}

    async with homes(tmp_path, ssh, {"name": "g", "type": "gitConfig"}).open(MODULE, own) as made:
        found = made.environment

    assert found["GIT_SSH_COMMAND"].endswith(" 'ssh -v'")
    assert found["GOAUTH"].endswith(";git /x")
    assert found["GIT_CONFIG_GLOBAL"] == "/my/config"
    assert "GIT_CONFIG_KEY_0" not in found
    assert int(found["GIT_CONFIG_COUNT"]) > 1


async def test_goauth_off_stays_off(tmp_path: Path) -> None:
    token = {"name": "t", "type": "token", "match": "git.example.com"}

    async with homes(tmp_path, token).open(MODULE, {"GOAUTH": "off"}) as made:
        assert made.environment["GOAUTH"] == "off"


async def test_hg_is_told_the_login_of_the_place_after_what_the_user_says(tmp_path: Path) -> None:
    user = tmp_path / "user"
    user.mkdir()
    (user / ".hgrc").write_text("[ui]\n")
    (tmp_path / "credentials" / "t").mkdir(parents=True)
    (tmp_path / "credentials" / "t" / "token").write_text("s3cret")
    token = {"name": "t", "type": "token", "match": "git.example.com/team"}
    environment = {"HOME": str(user), "HTTPS_PROXY": "http://u:p@proxy.example.com:3128", "SSL_CERT_FILE": "/ca.pem"}

    async with homes(tmp_path, token, has_hg=True).open(MODULE, environment) as made:
        text, _ = content(made.environment["HOME"], ".hgrc")

    assert text.splitlines() == [
        f"%include {user}/.hgrc",
        "[auth]",
        "athens.prefix = git.example.com/team",
        "athens.schemes = https",
        "athens.username = x-access-token",
        "athens.password = s3cret",
        "[web]",
        "cacerts = /ca.pem",
        "[http_proxy]",
        "host = proxy.example.com:3128",
        "no = ",
        "user = u",
        "passwd = p",
    ]


async def test_an_error_says_which_credential_could_not_be_used_or_was_refused(tmp_path: Path) -> None:
    files = UserFiles({".netrc": [("NETRCPath", tmp_path / "gone")]})
    absent = ModuleNotFound("not found: fetching m@v1: no such thing")

    async with homes(tmp_path, files=files).open(MODULE, {}) as unreadable:
        pass
    async with homes(tmp_path).open(MODULE, {}) as refused:
        refused.run.refused.append("git")

    explained = unreadable.explained(absent)
    assert isinstance(explained, CredentialUnusable)
    assert str(explained).startswith("fetching m@v1: NETRCPath: ")
    assert "cannot be read: No such file or directory" in str(explained)
    assert isinstance(refused.explained(absent), CredentialRefused)
    assert str(refused.explained(absent)).endswith('; the credential "git" was refused')
    assert isinstance(refused.explained(UpstreamTimeout("x")), UpstreamTimeout)


@pytest.mark.parametrize("changed", ["", "netrc", "token"])
async def test_a_home_says_whether_what_it_was_given_has_changed_since(tmp_path: Path, changed: str) -> None:
    secrets = {"netrc": tmp_path / "netrc", "token": tmp_path / "credentials" / "t" / "token"}
    secrets["token"].parent.mkdir(parents=True)
    for file in secrets.values():
        file.write_text("old")
    token = {"name": "t", "type": "token", "match": "git.example.com/team"}
    made = homes(tmp_path, token, files=UserFiles({".netrc": [("NETRCPath", secrets["netrc"])]}), has_hg=True)

    async with made.open(MODULE, {}) as home:
        if changed:
            secrets[changed].write_text("new")

    assert await home.is_outdated() is bool(changed)
    secrets["token"].unlink()
    assert await home.is_outdated() is (changed == "netrc"), "what is gone is no successor"


ENTRIES: dict[str, dict[str, Any]] = {
    "basic": {"match": "git.example.com"},
    "token": {"match": "git.example.com"},
    "ssh": {"match": "git.example.com"},
    "netrc": {},
    "gitConfig": {},
    "hgrc": {},
}
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.mark.parametrize("kind", ENTRIES)
async def test_the_next_run_is_given_the_new_value_of_every_kind_and_nothing_of_the_old_one(
    tmp_path: Path, kind: str
) -> None:
    listed = parse_entries(json.dumps({"credentials": [{"name": "e", "type": kind, **ENTRIES[kind]}]}), folder=tmp_path)
    (entry,) = listed
    ring = keyring(*listed)
    desk = Desk(ring)
    made = PrivateHomes(tmp_path, UserFiles().with_entries(listed), ring, desk=desk, has_hg=True)

    def write(secret: str) -> None:
        for path in entry.files.values():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(KEY.format(secret) if kind == "ssh" else f"{secret}\n")

    async def given() -> str:
        """All that a run finds at home or is answered."""
        async with made.open(MODULE, {}) as home:
            run = Path(home.environment["HOME"])
            said = [await asked(tmp_path, ask, run.name) for ask in ("git", "go", "ssh")]
            named = home.environment.get("GIT_CONFIG_GLOBAL")
            return "".join([*said, contents(run), content_of(named)])

    async with await asyncio.start_unix_server(desk.serve, sock=desk_socket(tmp_path)):
        write("b2xkb2xk")
        first = await given()
        write("bmV3bmV3")
        second = await given()

    basic = {text: base64.b64encode(f"{text}:{text}".encode()).decode() for text in ("b2xkb2xk", "bmV3bmV3")}
    assert "b2xkb2xk" in first
    assert "bmV3bmV3" in second
    assert "b2xkb2xk" not in second
    assert basic["b2xkb2xk"] not in second


async def asked(root: Path, ask: str, run: str) -> str:
    """What the desk answers a program of a run."""
    folder = os.open(root, os.O_PATH)  # because the address of a socket may have no more than 107 characters
    try:
        reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/ask")
    finally:
        os.close(folder)
    writer.write(f"ask={ask}\nrun={run}\noperation=get\nprotocol=https\nhost=git.example.com\n\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return answer


def content_of(file: str | None) -> str:
    """Of a file, if there is one."""
    return Path(file).read_text() if file else ""


def contents(folder: Path) -> str:
    """Of all files of a folder."""
    return "".join(path.read_text() for path in folder.iterdir())


async def test_what_a_server_quotes_of_a_login_is_shown_to_nobody(tmp_path: Path) -> None:
    secret = tmp_path / "credentials" / "t" / "token"
    secret.parent.mkdir(parents=True)
    secret.write_text("s3cret-token")
    (tmp_path / "netrc").write_text("machine a.example.com login u password netrc-s3cret\n")
    token = {"name": "t", "type": "token", "match": "git.example.com/team"}
    files = UserFiles({".netrc": [("NETRCPath", tmp_path / "netrc")]})
    sent = base64.b64encode(b"x-access-token:s3cret-token").decode()

    async with homes(tmp_path, token, files=files, has_hg=True).open(MODULE, {}) as home:
        masked = home.masked(f"remote: no: {sent} s3cret-token netrc-s3cret, u")

    assert masked == "remote: no: *** *** ***, u"


async def test_a_run_that_is_cancelled_leaves_no_home(tmp_path: Path) -> None:
    async def run() -> None:
        async with homes(tmp_path).open(MODULE, {}):
            await asyncio.Event().wait()

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert names_in(tmp_path) == set()


async def test_a_folder_that_cannot_be_written_is_ours_to_mend(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file or directory"):
        async with homes(tmp_path / "gone").open(MODULE, {}):
            pass
