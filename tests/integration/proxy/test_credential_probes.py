"""Entries that are tried before a developer needs them, and tokens that are made and end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web

from athens_proxy.credentials.entries import Entry, parse_entries
from athens_proxy.credentials.github_app import GitHubApps, Unreachable
from athens_proxy.credentials.goauth_command import Commands
from athens_proxy.credentials.keyring import Keyring
from athens_proxy.credentials.places import Match
from athens_proxy.credentials.probes import Probes
from athens_proxy.credentials.secret_files import Unusable
from athens_proxy.credentials.standings import State
from athens_proxy.upstream.outbound import OutboundProxies
from support.authority import Authority
from support.github_app import GitHubApp


@dataclass
class Server:
    """A server of repositories behind TLS: it answers what the test says to strangers and to those it knows."""

    port: int = 0
    stranger: int = 401
    known: int = 404
    wrong: int = 401
    app: GitHubApp | None = None

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.app and request.path == f"/api/v3{self.app.path}":
            return await self.app.answer(request)
        header = request.headers.get("Authorization", "")
        if not header:
            return web.Response(status=self.stranger)
        return web.Response(status=self.known if header == aiohttp.encode_basic_auth("me", "right") else self.wrong)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def server(authority: Authority) -> AsyncIterator[Server]:
    made = Server()
    runner = web.ServerRunner(web.Server(made.answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=authority.serving())
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


@pytest.fixture
async def session(authority: Authority) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=authority.trusted())) as opened:
        yield opened


def entry(folder: Path, port: int, kind: str, files: dict[str, str], **more: Any) -> Entry:
    secrets = folder / "credentials" / "e"
    secrets.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (secrets / name).write_text(text)
    item = {"name": "e", "type": kind, "match": f"localhost:{port}", **more}
    return parse_entries(json.dumps({"credentials": [item]}), folder=folder)[0]


def keyring(session: aiohttp.ClientSession, listed: Entry) -> Keyring:
    return Keyring([listed], apps=GitHubApps(session, OutboundProxies()), commands=Commands({}))


async def verdict(session: aiohttp.ClientSession, listed: Entry, folder: Path, *, used_at: str = "") -> State:
    ring = keyring(session, listed)
    ring.standings.of("e").used_at = used_at
    probes = Probes(ring, session, outbound=OutboundProxies(), environ={}, folder=folder)
    state, message = await probes.verdict(listed)
    assert (message == "") is (state is State.VALID)
    assert "right" not in message
    assert "bad" not in message
    return state


@pytest.mark.parametrize(
    ("stranger", "known", "password", "wanted"),
    [
        (401, 404, "right", State.VALID),
        (401, 200, "right", State.VALID),
        (404, 200, "right", State.VALID),
        (404, 404, "right", State.UNKNOWN),
        (200, 200, "right", State.UNKNOWN),
        (302, 302, "right", State.UNKNOWN),
        (401, 503, "right", State.UNREACHABLE),
        (401, 404, "bad", State.UNKNOWN),
    ],
)
async def test_the_difference_between_a_stranger_and_us_is_the_verdict(
    server: Server,
    session: aiohttp.ClientSession,
    tmp_path: Path,
    stranger: int,
    known: int,
    password: str,
    wanted: State,
) -> None:
    server.stranger, server.known = stranger, known
    listed = entry(tmp_path, server.port, "basic", {"username": "me", "password": password})

    assert await verdict(session, listed, tmp_path) is wanted


async def test_a_credential_that_a_repository_it_was_used_for_refuses_is_refused(
    server: Server, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    good = entry(tmp_path, server.port, "basic", {"username": "me", "password": "right"})
    server.known = 200
    before = await verdict(session, good, tmp_path, used_at="team/m.git")
    good.files["password"].write_text("bad")

    assert before is State.VALID
    assert await verdict(session, good, tmp_path, used_at="team/m.git") is State.REFUSED


async def test_nobody_there_and_no_trusted_certificate_are_unreachable(
    server: Server, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    nobody = entry(tmp_path, 1, "basic", {"username": "me", "password": "right"})
    untrusted = entry(tmp_path, server.port, "basic", {})

    assert await verdict(session, nobody, tmp_path) is State.UNREACHABLE
    async with aiohttp.ClientSession() as trusting_nobody:
        assert await verdict(trusting_nobody, untrusted, tmp_path) is State.UNREACHABLE


@pytest.mark.parametrize("kind", ["token", "githubApp"])
async def test_a_forward_proxy_that_lets_nobody_through_is_told_without_its_password(
    session: aiohttp.ClientSession, tmp_path: Path, kind: str
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    numbers = {"appID": 1, "installationID": 2} if kind == "githubApp" else {}
    files = {"token": "pl4nted", "private-key.pem": GitHubApp().private_key}
    listed = entry(tmp_path, 8443, kind, files, **numbers)
    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        outbound = OutboundProxies.of({"HTTPS_PROXY": f"http://egress:pl4nted@127.0.0.1:{port}", "NO_PROXY": ""})
        ring = Keyring([listed], apps=GitHubApps(session, outbound), commands=Commands({}))
        probes = Probes(ring, session, outbound=outbound, environ={}, folder=tmp_path)
        state, message = await probes.verdict(replace_host(listed))

    assert state is State.UNREACHABLE
    assert "the forward proxy answered 407 Proxy Authentication Required; check HTTPS_PROXY" in message
    assert "pl4nted" not in message
    assert "egress" not in message


def replace_host(listed: Entry) -> Entry:
    """The entry for a host that is asked through the forward proxy, which loopback never is."""
    url = listed.api_url and "https://git.example.com/api/v3"
    return replace(listed, match=Match.parse("git.example.com"), api_url=url)


async def test_a_missing_secret_is_as_bad_as_a_refused_one(
    server: Server, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    assert await verdict(session, entry(tmp_path, server.port, "token", {}), tmp_path) is State.REFUSED


async def test_a_json_web_token_tells_its_end_to_the_metric(
    server: Server, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    ends = datetime.now(UTC) + timedelta(hours=2)
    token = jwt.encode({"exp": int(ends.timestamp())}, "k" * 32, algorithm="HS256")
    ring = keyring(session, entry(tmp_path, server.port, "token", {"token": token}))

    await ring.login(ring.entries[0])

    ((name, left_s),) = ring.standings.expiries_s()
    assert (name, 7190 < left_s <= 7200) == ("e", True)
    assert ring.standings.describe()[0]["expires"] == ends.strftime("%Y-%m-%dT%H:%M:%SZ")


def app_entry(folder: Path, server: Server, app: GitHubApp) -> Entry:
    server.app = app
    numbers = {"appID": int(app.app_id), "installationID": app.installation_id}
    return entry(folder, server.port, "githubApp", {"private-key.pem": app.private_key}, **numbers)


async def test_an_app_keeps_its_token_until_it_ends_soon_or_is_refused_or_has_another_key(
    server: Server, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    app = GitHubApp()
    listed = app_entry(tmp_path, server, app)
    ring = keyring(session, listed)

    first, again = await ring.login(listed), await ring.login(listed)
    ring.refused("e", by="git.example.com", shown=first.authorization)
    after_refusal = await ring.login(listed)
    app.key = GitHubApp().key
    listed.files["private-key.pem"].write_text(app.private_key)
    with_new_key = await ring.login(listed)

    assert [login.password for login in (first, again, after_refusal, with_new_key)] == [
        "ghs_0",
        "ghs_0",
        "ghs_1",
        "ghs_2",
    ]
    assert first.expires == app.ends["ghs_0"]
    assert not app.refusals


async def test_a_token_that_ends_soon_is_replaced_before_it_does(
    server: Server, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    app = GitHubApp(lifetime_s=0)
    listed = app_entry(tmp_path, server, app)
    ring = keyring(session, listed)

    await ring.login(listed)
    app.lifetime_s = 3600
    renewed = await ring.login(listed)

    assert app.accepts(renewed.password)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("app", "answered 401 A JSON web token could not be decoded when a token was asked for; check appID 4321"),
        ("installation", "answered 401 when a token was asked for; check appID 1234, installationID 78"),
        ("key", "its file private-key.pem is no RSA key"),
        ("foreign key", "answered 401 A JSON web token could not be decoded"),
    ],
)
async def test_what_is_wrong_with_an_app_is_told_with_its_numbers(
    server: Server, session: aiohttp.ClientSession, tmp_path: Path, fault: str, told: str
) -> None:
    app = GitHubApp()
    listed = app_entry(tmp_path, server, app)
    if fault == "app":
        app.app_id, listed = "1234", app_entry(tmp_path, server, GitHubApp(app_id="4321", key=app.key))
        server.app = app
    if fault == "installation":
        listed = app_entry(tmp_path, server, GitHubApp(installation_id="78", key=app.key))
        server.app = app
    if fault == "key":
        listed.files["private-key.pem"].write_text(
            "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"
        )
    if fault == "foreign key":
        listed.files["private-key.pem"].write_text(GitHubApp().private_key)

    with pytest.raises(Unusable, match=told) as caught:
        await keyring(session, listed).login(listed)

    assert not isinstance(caught.value, Unreachable)
    assert "PRIVATE" not in str(caught.value)


async def test_many_fetches_ask_a_github_that_refuses_once_and_again_with_another_key(
    server: Server, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    app = GitHubApp()
    listed = app_entry(tmp_path, server, app)
    listed.files["private-key.pem"].write_text(GitHubApp().private_key)
    ring = keyring(session, listed)

    failures = await asyncio.gather(*(ring.login(listed) for _ in range(20)), return_exceptions=True)
    listed.files["private-key.pem"].write_text(app.private_key)
    login = await ring.login(listed)

    assert {type(failure) for failure in failures} == {Unusable}
    assert len(app.refusals) == 1
    assert app.accepts(login.password)


async def test_a_github_that_does_not_answer_is_unreachable(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    app = GitHubApp()
    numbers = {"appID": 1, "installationID": 2, "apiURL": "https://localhost:1/api"}
    listed = entry(tmp_path, 1, "githubApp", {"private-key.pem": app.private_key}, **numbers)

    assert await verdict(session, listed, tmp_path) is State.UNREACHABLE
