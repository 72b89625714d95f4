"""Private code through a credentials file: real git over TLS and ssh, rotation, and what developers are told."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from support.authority import Authority
from support.exchange import Answer
from support.forge import HOST, OTHER_HOST, Forge, serving
from support.git_origin import GitOrigin
from support.proxy_process import ModuleProxy, Settings, running
from support.ssh_server import made_key
from support.ssh_server import running as sshd

PRIVATE = ("GOSUMDB=off", f"GOPRIVATE={HOST}")


class Team:
    """A forge, a credentials file, and proxies that use both."""

    def __init__(self, folder: Path, forge: Forge, authority: Authority) -> None:
        self.folder = folder
        self.forge = forge
        self.authority = authority
        self.secrets = folder / "credentials"
        self.secrets.mkdir()

    def repository(self, path: str, *tags: str) -> None:
        """A repository on the forge whose module has these tags."""
        origin = GitOrigin(self.folder / "repositories" / path, "tree")
        for tag in tags:
            files = {"go.mod": f"module {HOST}/{path}\n\ngo 1.21\n", "m.go": f"package m // {tag}\n"}
            origin.commit(files, tag=tag)
        self.forge.repositories[path] = self.folder / "repositories" / path / "tree"

    def secret(self, name: str, **files: str) -> None:
        """An entry's files, written as a rotation would."""
        folder = self.secrets / name
        folder.mkdir(exist_ok=True)
        for file, text in files.items():
            fresh = folder / f".{file}"
            fresh.write_text(text)
            fresh.replace(folder / file.replace("_", "-") if file != "known_hosts" else folder / file)

    @contextmanager
    def proxy(self, *entries: dict[str, Any], **env: str) -> Iterator[ModuleProxy]:
        file = self.folder / "credentials.json"
        file.write_text(json.dumps({"credentials": list(entries)}))
        forge = self.forge.environment(self.authority.ca_file)
        names = {"ATHENS_CREDENTIALS_FILE": str(file), "ATHENS_SUM_DBS": "", **forge, **env}
        with running(self.folder / "proxy", Settings("direct", go_env=PRIVATE, env=names)) as proxy:
            yield proxy
            assert not list((self.folder / "proxy" / "tmp").glob("athens-home-*/run-*"))
        assert not list((self.folder / "proxy" / "tmp").glob("athens-home-*"))


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("authority"), HOST, OTHER_HOST)


@pytest.fixture
def team(tmp_path: Path, authority: Authority) -> Iterator[Team]:
    with serving(Forge(), authority.serving()) as forge:
        yield Team(tmp_path, forge, authority)


def info(proxy: ModuleProxy, path: str = "team/repo", version: str = "v1.0.0") -> Answer:
    return proxy.ask(f"/{HOST}/{path}/@v/{version}.info")


def states(proxy: ModuleProxy) -> dict[str, str]:
    return {entry["name"]: entry["state"] for entry in json.loads(proxy.ask("/-/config").body)["credentials"]}


TOKEN = {"name": "git", "type": "token", "match": HOST}


def test_a_token_brings_a_private_module_to_a_stranger_to_its_host(team: Team) -> None:
    team.repository("team/repo", "v1.0.0", "v1.1.0")
    team.forge.accepts = lambda user, password, path: (user, password) == ("x-access-token", "s3cret")
    team.secret("git", token="s3cret\n")
    with team.proxy(TOKEN) as proxy:
        listed = proxy.ask(f"/{HOST}/team/repo/@v/list")
        answer, zipped = info(proxy), proxy.ask(f"/{HOST}/team/repo/@v/v1.0.0.zip")

    assert (listed.status, listed.text.split()) == (200, ["v1.0.0", "v1.1.0"])
    assert (answer.status, zipped.status) == (200, 200)
    assert json.loads(answer.body)["Origin"]["URL"] == f"https://{HOST}/team/repo.git"
    assert not team.forge.egress.strangers()


def test_the_longest_match_shows_each_team_its_own_credential(team: Team) -> None:
    owners = {"a": "for-a", "a/special": "for-special", "b": "for-b"}
    for owner in owners:
        team.repository(f"{owner}/repo", "v1.0.0")
        team.secret(owner.replace("/", "-"), username="me", password=owners[owner])
    team.forge.accepts = lambda user, password, path: password == owners.get(path.removesuffix("/repo"))
    entries = [{"name": o.replace("/", "-"), "type": "basic", "match": f"{HOST}/{o}"} for o in owners]
    with team.proxy(*entries) as proxy:
        statuses = [info(proxy, f"{owner}/repo").status for owner in owners]
        known = states(proxy)

    assert statuses == [200, 200, 200]
    assert known == {"a": "Valid", "a-special": "Valid", "b": "Valid"}


def test_a_host_without_a_credential_is_not_found_and_sees_none(team: Team) -> None:
    team.repository("team/repo", "v1.0.0")
    team.forge.accepts = lambda user, password, path: False
    team.secret("git", token="s3cret")
    with team.proxy({**TOKEN, "match": "elsewhere.example.com"}) as proxy:
        answer = info(proxy)

    assert (answer.status, "no credential for that host" in answer.text) == (404, True)
    assert {seen.authorization for seen in team.forge.seen} == {""}


def test_a_refused_credential_is_named_to_the_developer_and_in_the_settings(team: Team) -> None:
    team.repository("team/repo", "v1.0.0")
    team.forge.accepts = lambda user, password, path: password == "new"
    team.secret("git", token="revoked")
    with team.proxy(TOKEN) as proxy:
        answer = info(proxy)
        known = json.loads(proxy.ask("/-/config").body)["credentials"]
        team.secret("git", token="new")
        again = info(proxy)

    assert answer.status == 502
    assert answer.text.count("\n") <= 1
    assert 'the credential "git" was refused' in answer.text
    assert (known[0]["state"], known[0]["message"]) == ("Refused", f"{HOST} refused it")
    assert again.status == 200


def test_a_secret_that_is_missing_is_said_so_until_it_is_there(team: Team) -> None:
    team.repository("team/repo", "v1.0.0")
    team.forge.accepts = lambda user, password, path: password == "new"
    with team.proxy(TOKEN) as proxy:
        answer = info(proxy)
        team.secret("git", token="new")
        again = info(proxy)

    assert (answer.status, again.status) == (502, 200)
    assert 'credential "git": its file token cannot be read: No such file or directory' in answer.text


def test_a_credential_does_not_follow_a_redirect_to_another_host(team: Team) -> None:
    team.repository("team/repo", "v1.0.0")
    team.forge.accepts = lambda user, password, path: password == "s3cret"
    team.secret("git", token="s3cret")

    async def elsewhere(request: Any) -> Any:
        raise web.HTTPFound(f"https://{OTHER_HOST}{request.path_qs}")

    team.forge.instead[f"{HOST}/team/repo.git/info/refs"] = elsewhere
    with team.proxy(TOKEN) as proxy:
        answer = info(proxy)

    assert answer.status == 404
    assert [seen for seen in team.forge.seen if seen.host == OTHER_HOST]
    assert {seen.authorization for seen in team.forge.seen if seen.host == OTHER_HOST} == {""}


def test_an_authority_that_is_not_trusted_is_named_as_such(team: Team, tmp_path: Path) -> None:
    team.repository("team/repo", "v1.0.0")
    team.secret("git", token="s3cret")
    other = tmp_path / "other"
    other.mkdir()
    with team.proxy(TOKEN, SSL_CERT_FILE=str(Authority.made(other).ca_file)) as proxy:
        answer = info(proxy)

    assert (answer.status, "certificate" in answer.text) == (502, True)
    assert not team.forge.seen


def test_a_token_rotates_while_clients_fetch_and_none_of_them_fails(team: Team) -> None:
    tags = [f"v1.0.{number}" for number in range(20)]
    team.repository("team/repo", *tags)
    valid, used = {"old"}, set()
    lock = threading.Lock()

    def accepts(user: str, password: str, path: str) -> bool:
        with lock:
            used.add(password)
            return password in valid

    team.forge.accepts = accepts
    team.secret("git", token="old")
    with team.proxy(TOKEN) as proxy, ThreadPoolExecutor(20) as clients:
        first = list(clients.map(lambda tag: info(proxy, version=tag).status, tags[:10]))
        valid.add("new")  # the time in which both count
        team.secret("git", token="new")
        during = list(clients.map(lambda tag: info(proxy, version=tag).status, tags[10:15]))
        valid.discard("old")
        used.clear()
        after = list(clients.map(lambda tag: info(proxy, version=tag).status, tags[15:]))

    assert (set(first), set(during), set(after)) == ({200}, {200}, {200})
    assert "old" not in used


SSH = {"name": "key", "type": "ssh"}


def ssh_entry(port: int, user: str, **more: Any) -> dict[str, Any]:
    urls = [f"https://{HOST}/team"]
    return {**SSH, "match": "127.0.0.1/team", "port": port, "username": user, "insteadOf": urls, **more}


def test_a_key_brings_a_private_module_over_ssh(team: Team, tmp_path: Path) -> None:
    team.repository("team/repo", "v1.0.0")
    (tmp_path / "by-ssh" / "team").mkdir(parents=True)
    (tmp_path / "by-ssh" / "team" / "repo").symlink_to(team.forge.repositories["team/repo"])
    with sshd(tmp_path / "sshd", tmp_path / "by-ssh") as server:
        server.keys.write_text(made_key(tmp_path / "key"))
        key = (tmp_path / "key").read_text()
        team.secret("key", ssh_privatekey=key.replace("\n", "\r\n").rstrip(), known_hosts=server.known_hosts)
        with team.proxy(ssh_entry(server.port, server.user)) as proxy:
            answer = info(proxy)

    assert (answer.status, answer.text) == (200, answer.text)


@pytest.mark.parametrize(
    ("fault", "status", "told"),
    [
        ("other host key", 502, "Host key verification failed"),
        ("no known hosts", 502, 'credential "key": its file known_hosts cannot be read'),
        ("passphrase", 502, 'credential "key": its private key has a passphrase; store one without'),
        ("key not known there", 502, "Permission denied"),
        ("no key", 502, 'credential "key": its file ssh-privatekey is no private key'),
    ],
)
def test_what_is_wrong_with_ssh_is_told_in_one_line(
    team: Team, tmp_path: Path, fault: str, status: int, told: str
) -> None:
    team.repository("team/repo", "v1.0.0")
    with sshd(tmp_path / "sshd", tmp_path / "by-ssh") as server:
        public = made_key(tmp_path / "key", passphrase="open sesame" if fault == "passphrase" else "")
        server.keys.write_text("" if fault == "key not known there" else public)
        key = "nonsense" if fault == "no key" else (tmp_path / "key").read_text()
        team.secret("key", ssh_privatekey=key, known_hosts=server.known_hosts)
        if fault == "other host key":
            other = made_key(tmp_path / "other").split()[:2]
            team.secret("key", known_hosts=f"[127.0.0.1]:{server.port} {' '.join(other)}\n")
        if fault == "no known hosts":
            (team.secrets / "key" / "known_hosts").unlink()
        with team.proxy(ssh_entry(server.port, server.user)) as proxy:
            answer = info(proxy)

    assert (answer.status, told in answer.text) == (status, True), answer.text
    assert len(answer.text.strip().splitlines()) == 1


def test_a_netrc_entry_is_read_when_a_fetch_begins(team: Team) -> None:
    team.repository("team/repo", "v1.0.0", "v1.1.0")
    valid = {"one"}
    team.forge.accepts = lambda user, password, path: password in valid
    team.secret("files", netrc=f"machine {HOST} login me password one\n")
    with team.proxy({"name": "files", "type": "netrc"}) as proxy:
        first = info(proxy)
        valid.clear()
        valid.add("two")
        team.secret("files", netrc=f"machine {HOST} login me password two\n")
        second = info(proxy, version="v1.1.0")

    assert (first.status, second.status) == (200, 200)


def test_a_command_gives_the_credential_as_goauth_does(team: Team, tmp_path: Path) -> None:
    team.repository("team/repo", "v1.0.0")
    team.forge.accepts = lambda user, password, path: (user, password) == ("robot", "minted")
    script = tmp_path / "mint"
    header = base64.b64encode(b"robot:minted").decode()
    script.write_text(f'#!/bin/sh\nprintf "https://{HOST}\\n\\nAuthorization: Basic {header}\\n\\n"\n')
    script.chmod(0o755)
    with team.proxy({"name": "mint", "type": "command", "match": HOST, "command": [str(script)]}) as proxy:
        answer = info(proxy)

    assert answer.status == 200


def test_a_module_proxy_gets_the_token_of_its_place(team: Team) -> None:
    asked = []

    async def module_proxy(request: Any) -> Any:
        asked.append((request.path, request.headers.get("Authorization")))
        return web.Response(text="v1.0.0\n")

    team.forge.instead["git.example.com/goproxy/m.example.com/x/@v/list"] = module_proxy
    team.secret("git", token="s3cret")
    file = team.folder / "credentials.json"
    file.write_text(json.dumps({"credentials": [{**TOKEN, "match": f"{HOST}/goproxy"}]}))
    env = {
        "ATHENS_CREDENTIALS_FILE": str(file),
        "ATHENS_SUM_DBS": "",
        **team.forge.environment(team.authority.ca_file),
    }
    with running(team.folder / "proxy", Settings(f"https://{HOST}/goproxy", env=env)) as proxy:
        answer = proxy.ask("/m.example.com/x/@v/list")

    assert (answer.status, answer.text) == (200, "v1.0.0\n")
    assert {authorization for _, authorization in asked} == {"Bearer s3cret"}
