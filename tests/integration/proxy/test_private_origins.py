"""Private code through a credentials file: real git over TLS and ssh, rotation, and what developers are told."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from glob import glob
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from support.authority import Authority
from support.exchange import Answer
from support.forge import HOST, OTHER_HOST, Forge, serving
from support.git_origin import GitOrigin
from support.github_app import GitHubApp
from support.other_repositories import hg_module, hg_serving
from support.proxy_process import ModuleProxy, Settings, running
from support.ssh_server import SshServer, made_key
from support.ssh_server import running as sshd

IS_FULL = bool(os.environ.get("ATHENS_TEST_FULL"))
"""Whether every kind of credential rotates, with more fetches."""

THIRD_HOST = "third.example.com"
PRIVATE = ("GOSUMDB=off", f"GOPRIVATE={HOST},{OTHER_HOST}")
RIGHT = {
    "token": "for-token",
    "deep": "for-deep",
    "deep/er": "for-deeper",
    "late": "new",
    "named": "n",
    "command": "minted",
    "mercurial": "for-hg",
}
"""The password that may read what lies below each path of the forge."""


class World:
    """A forge, a server of ssh, and the files of a credentials file for both."""

    def __init__(self, folder: Path, forge: Forge, authority: Authority, ssh: SshServer) -> None:
        self.folder = folder
        self.forge = forge
        self.authority = authority
        self.ssh = ssh
        self.app = GitHubApp(lifetime_s=5)
        self.accepted = {path: {password} for path, password in RIGHT.items()}
        self.used: set[tuple[str, str]] = set()
        forge.accepts = self._accepts
        forge.instead[f"{HOST}/api/v3{self.app.path}"] = self.app.answer

    def _accepts(self, user: str, password: str, path: str) -> bool:
        owners = [known for known in (*self.accepted, "app") if path.startswith(f"{known}/")]
        owner = max(owners, key=len, default=path.rpartition("/")[0])
        self.used.add((owner, password))
        if owner == "app":
            return self.app.accepts(password)
        if owner.startswith("ssh-"):
            return True  # as the pages of forges with go-import tags
        return password in self.accepted.get(owner, set())

    def repository(self, path: str, *tags: str, host: str = HOST) -> None:
        """A repository on the forge and on the ssh server, whose module has these tags."""
        origin = GitOrigin(self.folder / "repositories", path)
        for tag in tags or ("v1.0.0",):
            files = {"go.mod": f"module {host}/{path}\n\ngo 1.21\n", "m.go": f"package m // {tag}\n"}
            origin.commit(files, tag=tag)
        self.forge.repositories[path] = self.folder / "repositories" / path

    def secret(self, name: str, files: dict[str, str]) -> None:
        """An entry's files, each replaced at once as by a rotation."""
        folder = self.folder / "credentials" / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            (folder / f".{file}").write_text(text)
            (folder / f".{file}").replace(folder / file)

    def ssh_log(self) -> list[str]:
        """What the server of ssh wrote so far."""
        return (self.folder / "sshd" / "sshd.log").read_text().splitlines()

    def mint(self, password: str) -> None:
        """The command of an entry, which prints this password."""
        header = base64.b64encode(f"robot:{password}".encode()).decode()
        script = self.folder / ".mint"
        script.write_text(f'#!/bin/sh\nprintf "https://{HOST}\\n\\nAuthorization: Basic {header}\\n\\n"\n')
        script.chmod(0o755)
        script.replace(self.folder / "mint")

    @contextmanager
    def proxy(self, entries: list[dict[str, Any]], chain: str = "direct", **env: str) -> Iterator[ModuleProxy]:
        """A proxy with these entries, which leaves nothing behind."""
        file = self.folder / f"{len(list(self.folder.iterdir()))}.json"
        file.write_text(json.dumps({"credentials": entries}))
        reach = self.forge.environment(self.authority.ca_file)
        names = {"ATHENS_CREDENTIALS_FILE": str(file), "ATHENS_SUM_DBS": "", **reach, **env}
        folder = self.folder / f"proxy-{file.stem}"
        with running(folder, Settings(chain, go_env=PRIVATE, env=names)) as proxy:
            yield proxy
            runs = f"{folder}/tmp/athens-home-*/run-*"
            proxy.process.wait_until(lambda: not glob(runs), what="without a folder of a command", deadline_s=60)
        assert not list((folder / "tmp").iterdir())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    (folder / "repositories").mkdir()
    hosts = (HOST, OTHER_HOST, THIRD_HOST)
    authority = Authority.made(folder, *hosts)
    with (
        serving(Forge(hosts=hosts), authority.serving()) as forge,
        sshd(folder / "sshd", folder / "repositories") as ssh,
    ):
        yield World(folder, forge, authority, ssh)


SSH_FAULTS = {
    "key": "",
    "other-host-key": "Host key verification failed",
    "no-known-hosts": 'credential "ssh-no-known-hosts": its file known_hosts cannot be read',
    "passphrase": "its private key has a passphrase; store one without",
    "strange-key": "Permission denied",
    "no-key": "its file ssh-privatekey is no private key",
}


def ssh_entries(world: World) -> list[dict[str, Any]]:
    """An entry for each fault, with its files; the keys that the server knows."""
    entries, known = [], []
    for fault in SSH_FAULTS:
        key = world.folder / f"key-{fault}"
        public = made_key(key, passphrase="open sesame" if fault == "passphrase" else "")
        if fault != "strange-key":
            known.append(public)
        host_key = made_key(world.folder / "other") if fault == "other-host-key" else world.ssh.host_key
        files = {"ssh-privatekey": key.read_text().replace("\n", "\r\n").rstrip()}
        files |= {} if fault == "no-known-hosts" else {"known_hosts": f"[127.0.0.1]:{world.ssh.port} {host_key}"}
        files |= {"ssh-privatekey": "nonsense"} if fault == "no-key" else {}
        world.secret(f"ssh-{fault}", files)
        world.repository(f"ssh-{fault}/m")
        where = {"match": f"127.0.0.1/ssh-{fault}", "port": world.ssh.port, "username": world.ssh.user}
        rewritten = [f"https://{HOST}/ssh-{fault}"]
        entries.append({"name": f"ssh-{fault}", "type": "ssh", **where, "insteadOf": rewritten})
    world.ssh.keys.write_text("".join(known))
    return entries


def https_entries(world: World) -> list[dict[str, Any]]:
    """An entry for each way to have a login, with its files."""
    world.mint("minted")
    world.secret("token", {"token": "for-token\n"})
    world.secret("deep", {"username": "me", "password": "for-deep"})
    world.secret("deeper", {"username": "me", "password": "for-deeper"})
    world.secret("late", {"token": "revoked"})
    world.secret("mercurial", {"username": "me", "password": "for-hg"})
    world.secret("named", {"netrc": f"machine {OTHER_HOST} login me password n\n"})
    world.secret("app", {"private-key.pem": world.app.private_key})
    return [
        {"name": "token", "type": "token", "match": f"{HOST}/token"},
        {"name": "deep", "type": "basic", "match": f"{HOST}/deep"},
        {"name": "deeper", "type": "basic", "match": f"{HOST}/deep/er"},
        {"name": "late", "type": "token", "match": f"{HOST}/late"},
        {"name": "swapped", "type": "token", "match": f"{HOST}/swapped"},
        {"name": "mercurial", "type": "basic", "match": f"{HOST}/mercurial"},
        {"name": "missing", "type": "token", "match": f"{HOST}/missing"},
        {"name": "moved", "type": "token", "match": f"{HOST}/moved", "files": {"token": "x"}},
        {"name": "command", "type": "command", "match": f"{HOST}/command", "command": [str(world.folder / "mint")]},
        {"name": "app", "type": "githubApp", "match": f"{HOST}/app", "appID": 1234, "installationID": 77},
        {"name": "named", "type": "netrc"},
    ]


@pytest.fixture(scope="module")
def proxy(world: World) -> Iterator[ModuleProxy]:
    entries = [*https_entries(world), *ssh_entries(world)]
    with world.proxy(entries) as proxy:
        yield proxy


def info(proxy: ModuleProxy, path: str, version: str = "v1.0.0", host: str = HOST) -> Answer:
    return proxy.ask(f"/{host}/{path}/@v/{version}.info")


def standing(proxy: ModuleProxy, name: str) -> dict[str, str | None]:
    (found,) = (e for e in json.loads(proxy.ask("/-/config").body)["credentials"] if e["name"] == name)
    return {key: found[key] for key in ("state", "message", "expires")}


def test_a_token_brings_a_private_module(world: World, proxy: ModuleProxy) -> None:
    world.repository("token/m", "v1.0.0", "v1.1.0")
    listed, answer = proxy.ask(f"/{HOST}/token/m/@v/list"), info(proxy, "token/m")
    zipped = proxy.ask(f"/{HOST}/token/m/@v/v1.0.0.zip")

    assert (listed.status, listed.text.split()) == (200, ["v1.0.0", "v1.1.0"])
    assert (answer.status, zipped.status) == (200, 200)
    assert json.loads(answer.body)["Origin"]["URL"] == f"https://{HOST}/token/m.git"
    assert standing(proxy, "token") == {"state": "Valid", "message": "", "expires": None}
    assert {target.rpartition(":")[0] for target in world.forge.egress.asked} <= set(world.forge.hosts)


def test_the_longest_match_shows_each_team_its_own_credential_and_no_other(world: World, proxy: ModuleProxy) -> None:
    world.repository("deep/m")
    world.repository("deep/er/m")
    statuses = [info(proxy, "deep/m").status, info(proxy, "deep/er/m").status]

    assert statuses == [200, 200]
    assert {used for used in world.used if used[0] in ("deep", "deep/er")} == {
        ("deep", ""),
        ("deep", "for-deep"),
        ("deep/er", ""),
        ("deep/er", "for-deeper"),
    }


def test_a_place_without_a_credential_is_not_found_and_sees_none(world: World, proxy: ModuleProxy) -> None:
    world.repository("nobody/m")
    answer = info(proxy, "nobody/m")

    assert (answer.status, "no credential for that host" in answer.text) == (404, True)
    assert {password for owner, password in world.used if owner == "nobody"} == {""}


def test_a_refused_credential_is_named_and_a_new_one_counts_at_once(world: World, proxy: ModuleProxy) -> None:
    world.repository("late/m")
    answer, then = info(proxy, "late/m"), standing(proxy, "late")
    world.secret("late", {"token": "new"})
    again = info(proxy, "late/m")

    assert answer.status == 502
    assert answer.text.count("\n") <= 1
    assert 'the credential "late" was refused' in answer.text
    assert then == {"state": "Refused", "message": f"{HOST} refused it", "expires": None}
    assert again.status == 200


def test_a_secret_that_is_missing_is_said_so(world: World, proxy: ModuleProxy) -> None:
    world.repository("missing/m")
    answer = info(proxy, "missing/m")

    assert answer.status == 502
    assert 'credential "missing": its file token cannot be read: No such file or directory' in answer.text


def test_a_credential_does_not_follow_a_redirect_to_another_host(world: World, proxy: ModuleProxy) -> None:
    world.repository("moved/m")
    world.secret("moved", {"x": "s3cret"})
    world.accepted["moved"] = {"s3cret"}

    async def elsewhere(request: web.BaseRequest) -> web.StreamResponse:
        raise web.HTTPFound(f"https://{THIRD_HOST}{request.path_qs}")

    world.forge.instead[f"{HOST}/moved/m.git/info/refs"] = elsewhere
    answer = info(proxy, "moved/m")

    asked = [seen for seen in world.forge.seen if seen.host == THIRD_HOST]
    assert answer.status == 404
    assert {seen.authorization for seen in asked} == {""}


def test_a_netrc_is_read_when_a_fetch_begins(world: World, proxy: ModuleProxy) -> None:
    world.repository("named/m", "v1.0.0", "v1.1.0", host=OTHER_HOST)
    first = info(proxy, "named/m", host=OTHER_HOST)
    world.accepted["named"] = {"two"}
    world.secret("named", {"netrc": f"machine {OTHER_HOST} login me password two\n"})
    second = info(proxy, "named/m", "v1.1.0", host=OTHER_HOST)

    assert (first.status, second.status) == (200, 200), first.text


def test_a_command_gives_the_credential_as_goauth_does(world: World, proxy: ModuleProxy) -> None:
    world.repository("command/m")

    assert info(proxy, "command/m").status == 200


def test_hg_is_shown_the_login_of_its_place(world: World, proxy: ModuleProxy) -> None:
    hg_module(world.folder / "hg" / "m", f"{HOST}/mercurial/m", "v1.0.0")
    with hg_serving(world.folder / "hg") as world.forge.behind["mercurial/m"]:
        answer = info(proxy, "mercurial/m")

    assert answer.status == 200, answer.text
    assert json.loads(answer.body)["Origin"]["VCS"] == "hg"


def test_tokens_of_an_app_are_made_anew_when_they_end_or_are_revoked(world: World, proxy: ModuleProxy) -> None:
    world.repository("app/m", "v1.0.0", "v1.0.1")
    first = info(proxy, "app/m").status
    world.app.lifetime_s = 3600
    world.app.ends = dict.fromkeys(world.app.ends, datetime.now(UTC))
    statuses = {info(proxy, "app/m", "v1.0.1").status for _ in range(2)}  # the first may find out that it was revoked

    assert first == 200
    assert info(proxy, "app/m", "v1.0.1").status == 200
    assert statuses <= {200, 502}
    assert len(world.app.ends) > 1
    assert standing(proxy, "app")["expires"]


@pytest.mark.parametrize("fault", SSH_FAULTS)
def test_a_key_brings_a_module_over_ssh_or_what_is_wrong_is_told_in_one_line(
    world: World, proxy: ModuleProxy, fault: str
) -> None:
    told = SSH_FAULTS[fault]
    answer = info(proxy, f"ssh-{fault}/m")

    assert answer.status == (502 if told else 200), answer.text
    assert told in answer.text
    assert not [seen for seen in world.forge.seen if seen.path.startswith(f"/ssh-{fault}/m.git")]
    assert len(answer.text.strip().splitlines()) == 1


def test_a_fetch_that_meets_the_end_of_its_credential_takes_the_next_one(world: World, proxy: ModuleProxy) -> None:
    """The old one is revoked, and the new one arrives, while git shows the old one: no client hears of it."""
    world.repository("swapped/m")
    world.secret("swapped", {"token": "old"})
    world.accepted["swapped"] = {"new"}
    allowed = world.forge.accepts

    def rotating(user: str, password: str, path: str) -> bool:
        if password == "old":
            world.secret("swapped", {"token": "new"})
        return allowed(user, password, path)

    world.forge.accepts = rotating
    try:
        answer = info(proxy, "swapped/m")
    finally:
        world.forge.accepts = allowed

    assert answer.status == 200, answer.text
    assert {used for used in world.used if used[0] == "swapped"} >= {("swapped", "old"), ("swapped", "new")}
    assert standing(proxy, "swapped") == {"state": "Valid", "message": "", "expires": None}


class Rotation:
    """One entry of the credentials file that gets a new secret: first both count, then the new one alone."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name
        self.path = {"ssh": "ssh-key"}.get(name, name)
        self.host = OTHER_HOST if name == "named" else HOST
        self._seen_of_ssh = 0

    def begin(self) -> None:
        world, name = self._world, self._name
        if name == "ssh":
            world.ssh.keys.write_text(world.ssh.keys.read_text() + made_key(world.folder / "fresh"))
            world.secret("ssh-key", {"ssh-privatekey": (world.folder / "fresh").read_text()})
        elif name == "app":
            world.app.key = GitHubApp().key
            world.secret("app", {"private-key.pem": world.app.private_key})
        elif name == "command":
            world.mint("fresh")
        elif name == "named":
            world.secret("named", {"netrc": f"machine {OTHER_HOST} login me password fresh\n"})
        else:
            world.secret(name, {"password" if name == "deep" else "token": "fresh"})
        world.accepted[name] = {*world.accepted.get(name, ()), "fresh"}

    def end(self) -> None:
        world = self._world
        if self._name == "ssh":
            world.ssh.keys.write_text((world.folder / "fresh.pub").read_text())
        if self._name == "app":
            world.app.ends = dict(list(world.app.ends.items())[-1:])
        world.accepted[self._name] = {"fresh"}
        self.forget_uses()

    def forget_uses(self) -> None:
        self._world.used.clear()
        self._seen_of_ssh = len(self._world.ssh_log())

    def old_uses(self) -> list[str]:
        """What was shown since `end` or `forget_uses` and is valid no more."""
        world, name = self._world, self._name
        present = {"", *(world.app.ends if name == "app" else world.accepted[name])}
        refused = [line for line in world.ssh_log()[self._seen_of_ssh :] if "by authenticating user" in line]
        return [
            f"{owner} {password}" for owner, password in world.used if owner == name and password not in present
        ] + [line for line in refused if name == "ssh"]


ROTATED = ("token", "deep", "named", "app", "command", "ssh") if IS_FULL else ("token",)


@pytest.mark.parametrize("name", ROTATED)
def test_a_credential_rotates_while_clients_fetch_and_none_of_them_fails(
    world: World, proxy: ModuleProxy, name: str
) -> None:
    rotation = Rotation(world, name)
    tags = [f"v1.1.{number}" for number in range(31 if IS_FULL else 7)]
    world.repository(f"{rotation.path}/rotated", *tags, host=rotation.host)

    def fetched(tag: str) -> str:
        answer = info(proxy, f"{rotation.path}/rotated", tag, host=rotation.host)
        return str(answer.status) if answer.status == 200 else answer.text

    last, third = tags.pop(), len(tags) // 3
    with ThreadPoolExecutor(20) as clients:
        first = list(clients.map(fetched, tags[:third]))
        rotation.begin()
        during = list(clients.map(fetched, tags[third : 2 * third]))
        rotation.end()
        after = list(clients.map(fetched, tags[2 * third :]))
    old = rotation.old_uses()
    rotation.forget_uses()

    assert (set(first), set(during), set(after)) == ({"200"}, {"200"}, {"200"})
    assert name == "command" or not old, "what a command prints is kept for half a minute, or until it is refused"
    assert (fetched(last), rotation.old_uses()) == ("200", [])


def test_a_module_proxy_gets_the_token_of_its_place_and_an_authority_that_is_not_trusted_is_named(
    world: World, tmp_path: Path
) -> None:
    asked = []

    async def module_proxy(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(request.headers.get("Authorization"))
        if asked[-1] == "Bearer revoked":
            world.secret("chain", {"token": "s3cret"})
            return web.Response(status=401)
        return web.Response(text="v1.0.0\n")

    world.forge.instead[f"{HOST}/goproxy/m.example.com/x/@v/list"] = module_proxy
    world.secret("chain", {"token": "revoked"})
    entries = [{"name": "chain", "type": "token", "match": f"{HOST}/goproxy"}]
    with world.proxy(entries, f"https://{HOST}/goproxy") as proxy:
        answer = proxy.ask("/m.example.com/x/@v/list")
    before = len(world.forge.seen)
    with world.proxy(entries, "direct", SSL_CERT_FILE=str(Authority.made(tmp_path).ca_file)) as strict:
        refused = info(strict, "goproxy/m")

    assert (answer.status, answer.text) == (200, "v1.0.0\n")
    assert asked == ["Bearer revoked", "Bearer s3cret"], "a token that was replaced meanwhile is no failure"
    assert (refused.status, "certificate" in refused.text) == (502, True)
    assert not [seen for seen in world.forge.seen[before:] if seen.path.startswith("/goproxy/m")]  # others are probes
