"""`/-/events` of running proxies: what is told, to whom, across restarts, processes and replicas, and to the end."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from support.authority import Authority
from support.event_reader import reading
from support.exchange import ask
from support.modules_fixture import SampleModule, write_file_proxy
from support.proxy_process import ModuleProxy, Settings, running

M = [SampleModule("example.com/m", f"v1.{n}.0") for n in range(10)]
RETRACTING = SampleModule(
    "example.com/m",
    "v1.20.0",
    go_mod=b"// Deprecated: use example.com/n\nmodule example.com/m\n\ngo 1.21\n\nretract v1.1.0 // broken\n",
)
AUTHORIZATION = {"Authorization": f"Basic {base64.b64encode(b'user:password').decode()}"}
POLICY = """mode = "sync"
downloadURL = ""
download "example.com/refused" {
  mode = "deny"
  name = "no"
  reason = "broken"
}
download "private.example.com" {
  mode = "deny"
  name = "secret"
  reason = "nobody's business"
}
"""


@pytest.fixture
def upstream(tmp_path: Path) -> str:
    """A module proxy of files."""
    (tmp_path / "policy.hcl").write_text(POLICY)
    return f"file://{write_file_proxy(tmp_path / 'upstream', [*M, RETRACTING])}"


@pytest.fixture
def settings(tmp_path: Path, upstream: str) -> Settings:
    """A policy that refuses some, and a private name."""
    policy = f"file:{tmp_path / 'policy.hcl'}"
    return Settings(upstream, env={"ATHENS_DOWNLOAD_MODE": policy, "ATHENS_GONOSUM_PATTERNS": "private.example.com"})


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleProxy]:
    """A proxy for tests that do not care what else it tells."""
    folder = tmp_path_factory.mktemp("events")
    many = [SampleModule("example.com/many", f"v1.{n}.0") for n in range(30)]
    with running(folder / "proxy", Settings(f"file://{write_file_proxy(folder / 'upstream', many)}")) as proxy:
        yield proxy


def fetch(proxy: ModuleProxy, module: SampleModule, *, headers: dict[str, str] | None = None) -> None:
    answer = proxy.ask(f"/{module.path}/@v/{module.version}.zip", headers=headers)
    assert answer.status == 200, answer.text


def test_what_is_stored_refused_retracted_and_deprecated_is_told_once(tmp_path: Path, settings: Settings) -> None:
    with running(tmp_path / "proxy", settings) as proxy, reading(proxy.url) as events:
        fetch(proxy, M[0])
        fetch(proxy, M[1])
        fetch(proxy, M[1])
        for _ in range(3):
            assert proxy.ask("/example.com/refused/@v/v1.0.0.info").status == 403
        fetch(proxy, RETRACTING)

        assert events.versions(6) == [
            "stored example.com/m@v1.0.0",
            "stored example.com/m@v1.1.0",
            "refused example.com/refused@v1.0.0",
            "stored example.com/m@v1.20.0",
            "deprecated example.com/m@",
            "retracted example.com/m@v1.1.0",
        ]
        details = [message["detail"] for message in events.messages]
        assert details[0].startswith("from file:///")
        assert details[2:3] + details[4:] == ["denied by no: broken", "use example.com/n", "broken"]


def test_what_a_newer_version_takes_back_is_told_though_nobody_asks_for_it(tmp_path: Path, settings: Settings) -> None:
    looking = replace(settings, env={**settings.env, "ATHENS_RETRACTION_CHECK_INTERVAL": "1"})
    with running(tmp_path / "proxy", looking) as proxy, reading(proxy.url) as events:
        fetch(proxy, M[1])

        assert events.versions(4) == [
            "stored example.com/m@v1.1.0",
            "stored example.com/m@v1.20.0",
            "deprecated example.com/m@",
            "retracted example.com/m@v1.1.0",
        ]


def test_a_private_name_is_told_only_where_followers_show_credentials(tmp_path: Path, settings: Settings) -> None:
    closed = {**settings.env, "BASIC_AUTH_USER": "user", "BASIC_AUTH_PASS": "password"}
    for folder, used, headers, told in (
        ("open", settings, {}, ["refused example.com/refused@v1.0.0"]),
        (
            "closed",
            replace(settings, env=closed),
            AUTHORIZATION,
            ["refused private.example.com/x@v1.0.0", "refused example.com/refused@v1.0.0"],
        ),
    ):
        with running(tmp_path / folder, used) as proxy:
            for path in ("private.example.com/x", "example.com/refused"):
                assert proxy.ask(f"/{path}/@v/v1.0.0.info", headers=headers).status == 403
            with reading(proxy.url, headers=headers) as events:
                assert events.versions(len(told)) == told


def test_no_stream_outlives_the_credential_that_opened_it(tmp_path: Path, settings: Settings) -> None:
    clients = tmp_path / "clients"
    clients.mkdir()
    salt = "0011223344556677"
    digest = hashlib.sha256(bytes.fromhex(salt) + b"token").hexdigest()
    (clients / "team").write_text(f"bot:$sha256${salt}${digest}\n")
    headers = {"Authorization": "Bearer token"}
    closed = replace(settings, env={**settings.env, "ATHENS_AUTH_CLIENTS_DIR": str(clients)})
    with running(tmp_path / "proxy", closed) as proxy, reading(proxy.url, headers=headers) as events:
        fetch(proxy, M[0], headers=headers)
        events.versions(1)
        (clients / "team").write_text("# nobody\n")

        while events.read():  # signs of life, until the stream ends
            pass
        assert proxy.ask("/-/events", headers=headers).status == 401
        written = proxy.process.until_logged(
            lambda lines: any("/-/events" in line and "http-status=401" in line for line in lines),
            what="done with its lines",
        )
        durations = [line for line in written if "/-/events" in line]
        assert "http-status=200" in durations[0]


def test_a_stream_goes_on_behind_the_last_id_after_a_restart(tmp_path: Path, settings: Settings) -> None:
    with running(tmp_path / "proxy", settings) as proxy, reading(proxy.url) as events:
        for module in M[:3]:
            fetch(proxy, module)
        second = events.until(lambda found: len(found) == 3)[1]["id"]

    with running(tmp_path / "proxy", settings) as proxy:
        with reading(proxy.url, "kind=stored", headers={"Last-Event-ID": str(second)}) as events:
            fetch(proxy, M[3])
            assert events.versions(2) == ["stored example.com/m@v1.2.0", "stored example.com/m@v1.3.0"]
            assert not events.missed
        with reading(proxy.url, "since=1") as events:
            events.until(lambda found: len(found) == 4)
            assert events.missed[0]["since"] == 1


def test_replicas_and_processes_on_one_store_have_one_stream(tmp_path: Path, settings: Settings) -> None:
    several = replace(settings, env={**settings.env, "ATHENS_PROCESSES": "2"})
    with running(tmp_path / "one", several) as one:
        shared = {**settings.env, "ATHENS_DISK_STORAGE_ROOT": str(one.store)}
        with running(tmp_path / "other", replace(settings, env=shared)) as other:
            with reading(other.url) as events:
                for module in M:
                    fetch(one, module)  # each on a connection of its own, so that either process has some

                assert set(events.versions(10)) == {f"stored example.com/m@{module.version}" for module in M}
                last = events.messages[-1]["id"]
            with reading(one.url, f"since={last}") as events:
                fetch(other, RETRACTING)

                events.until(lambda found: any(m["version"] == "v1.20.0" for m in found))


def test_streams_do_not_hold_up_the_end(tmp_path: Path, settings: Settings) -> None:
    with running(tmp_path / "proxy", settings) as proxy, reading(proxy.url) as events:
        fetch(proxy, M[0])
        events.versions(1)
        begun = time.monotonic()
        assert proxy.process.stop() == 0
        took_s = time.monotonic() - begun

        assert took_s < 20, "the ShutdownTimeout is 60 s"
        assert not events.read()


def test_a_reader_that_does_not_read_holds_nobody_up(shared: ModuleProxy) -> None:
    with _stuck(shared), reading(shared.url, "module=example.com/many") as events:
        for n in range(30):
            fetch(shared, SampleModule("example.com/many", f"v1.{n}.0"))

        assert len(events.versions(30)) == 30


@contextmanager
def _stuck(proxy: ModuleProxy) -> Iterator[None]:
    """A client that asks for the stream and never reads."""
    host, port = proxy.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /-/events?since=0 HTTP/1.1\r\nHost: proxy\r\n\r\n")
        yield


def test_places_of_followers_that_left_are_free_again_and_one_too_many_is_told_so(shared: ModuleProxy) -> None:
    connections: list[socket.socket] = []
    host, port = shared.address.removeprefix("http://").split(":")
    while len(connections) < 100:
        connection = socket.create_connection((host, int(port)))
        connection.sendall(b"GET /-/events HTTP/1.1\r\nHost: proxy\r\n\r\n")
        if connection.recv(100).startswith(b"HTTP/1.1 200"):
            connections.append(connection)
        else:  # the place of the last test is not free yet
            connection.close()

    refused = shared.ask("/-/events")
    assert (refused.status, refused.headers["retry-after"]) == (503, "5")
    assert "100 follow already" in refused.text
    for connection in connections:
        connection.close()
    shared.process.wait_until(lambda: _is_open(shared), what="free again", deadline_s=30)


def _is_open(proxy: ModuleProxy) -> bool:
    try:
        with reading(proxy.url):
            return True
    except AssertionError:
        return False


@pytest.mark.parametrize(
    ("query", "text"),
    [("kind=gone", "kind 'gone' is not known"), ("since=x", "since take the id"), ("module=a[", "unbalanced")],
)
def test_a_stream_that_is_asked_for_wrongly_gets_one_line(shared: ModuleProxy, query: str, text: str) -> None:
    answer = shared.ask(f"/-/events?{query}")

    assert (answer.status, answer.text.count("\n")) == (400, 1)
    assert text in answer.text


def test_a_follower_drops_what_was_purged_and_fetches_what_was_stored(
    tmp_path: Path, settings: Settings, authority: Authority
) -> None:
    """Over https, below a prefix, with the password of a netrc file."""
    purges = tmp_path / "purge.json"
    purges.write_text("[]")
    closed = {
        "ATHENS_PURGE_FILE": str(purges),
        "ATHENS_PATH_PREFIX": "/go",
        "BASIC_AUTH_USER": "user",
        "BASIC_AUTH_PASS": "password",
        "ATHENS_TLSCERT_FILE": str(authority.cert_file),
        "ATHENS_TLSKEY_FILE": str(authority.key_file),
    }
    trusted = ssl.create_default_context(cafile=authority.ca_file)
    one_settings = replace(settings, env={**settings.env, **closed}, scheme="https")
    with running(tmp_path / "one", one_settings) as one:
        home = tmp_path / "other" / "home"
        home.mkdir(parents=True)
        (home / ".netrc").write_text("machine 127.0.0.1 login user password password\n")
        follow = {
            "ATHENS_FOLLOW": one.url,
            "ATHENS_FOLLOW_ACTION": "both",
            "ATHENS_PAGE": "true",
            "SSL_CERT_FILE": str(authority.ca_file),
        }
        with (
            running(tmp_path / "other", replace(settings, env={**settings.env, **follow})) as other,
            reading(other.url) as events,
        ):
            other.process.wait_until(
                lambda: "athens_following 1.0" in other.ask("/metrics").text, what="following", deadline_s=30
            )
            target = "/example.com/m/@v/v1.0.0.zip"
            assert ask(one.url, target, headers=AUTHORIZATION, tls=trusted).status == 200
            assert events.versions(1) == ["stored example.com/m@v1.0.0"]
            kept = {"Disable-Module-Fetch": "true"}
            assert other.ask(target, headers=kept).status == 200

            purges.write_text('[{"module": "example.com/m", "version": "v1.0.0", "reason": "bad"}]')
            assert events.versions(2)[1] == "purged example.com/m@v1.0.0"
            assert other.ask(target, headers=kept).status == 404
            assert json.loads(other.ask("/-/summary").body)["following"]["url"] == f"{one.url}/-/events"


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("ftp://example.com", "must be an http:// or https:// address"),
        ("http://user:password@example.com", "refusing to send a password over plain http"),
    ],
)
def test_an_address_that_cannot_be_followed_stops_the_start_with_one_line(
    tmp_path: Path, settings: Settings, address: str, text: str
) -> None:
    with (
        pytest.raises(Exception, match=text) as failed,
        running(tmp_path / "proxy", replace(settings, env={**settings.env, "ATHENS_FOLLOW": address})),
    ):
        raise AssertionError("it started")

    assert "password@" not in str(failed.value)
    assert "Traceback" not in str(failed.value)
