"""The listener: certificates that are renewed, headers that never end, unix sockets, and the HOME of the go command."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import socket
import ssl
import time
from pathlib import Path

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from athens_proxy.certificate_metrics import CertificateMetrics
from athens_proxy.connections import PatientConnection
from athens_proxy.errors import CannotStart
from athens_proxy.metrics import Metrics
from athens_proxy.server import Listener, listening
from athens_proxy.tls import ServerCertificate
from support.authority import Authority
from support.modules_fixture import SampleModule, write_file_proxy
from support.proxy_process import Settings, running

M = SampleModule()


async def answer(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text=f"read {len(await request.read())}")


def served_serial(port: int, trusted: ssl.SSLContext) -> int:
    """The serial number of the certificate that a new connection gets."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        trusted.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        certificate = secured.getpeercert()
        assert certificate is not None
        return int(str(certificate["serialNumber"]), 16)


def replaced(target: Authority, source: Authority) -> None:
    """Put another server certificate where the first one is, as a swapped Secret does."""
    for old, new in ((target.cert_file, source.cert_file), (target.key_file, source.key_file)):
        waiting = old.with_name(f"{old.name}.new")
        waiting.write_bytes(new.read_bytes())
        os.replace(waiting, old)


async def test_a_renewed_certificate_is_served_and_open_connections_go_on(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = Authority.made(tmp_path / "a"), Authority.made(tmp_path / "b")
    certificate = ServerCertificate(str(first.cert_file), str(first.key_file))
    trusted = first.trusted()
    trusted.load_verify_locations(second.ca_file)
    async with listening(answer, Listener("127.0.0.1", 0, tls=certificate.context, shutdown_timeout_s=5)) as at:
        port = int(at.rpartition(":")[2])
        old = http.client.HTTPSConnection("localhost", port, context=trusted, timeout=10)
        await asyncio.to_thread(old.request, "GET", "/")
        assert (await asyncio.to_thread(old.getresponse)).read() == b"read 0"
        before = await asyncio.to_thread(served_serial, port, trusted)

        replaced(first, second)
        certificate.refresh()
        after = await asyncio.to_thread(served_serial, port, trusted)
        first.key_file.write_text("no key")
        certificate.refresh()
        kept = await asyncio.to_thread(served_serial, port, trusted)
        first.cert_file.unlink()
        certificate.refresh()
        still = await asyncio.to_thread(served_serial, port, trusted)

        await asyncio.to_thread(old.request, "GET", "/")
        assert (await asyncio.to_thread(old.getresponse)).read() == b"read 0"
        old.close()

    assert before != after
    assert after == kept == still


async def test_the_files_of_the_certificate_are_looked_at_again_and_again(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = Authority.made(tmp_path / "a"), Authority.made(tmp_path / "b")
    certificate = ServerCertificate(str(first.cert_file), str(first.key_file))
    trusted = second.trusted()
    watching = asyncio.create_task(certificate.watch(interval_s=0.01))
    async with listening(answer, Listener("127.0.0.1", 0, tls=certificate.context, shutdown_timeout_s=5)) as at:
        replaced(first, second)
        async with asyncio.timeout(20):
            while True:
                try:
                    await asyncio.to_thread(served_serial, int(at.rpartition(":")[2]), trusted)
                    break
                except ssl.SSLCertVerificationError:
                    continue
    watching.cancel()


def test_metrics_tell_of_renewals_of_files_that_cannot_be_used_and_of_the_end(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    first, second = Authority.made(tmp_path / "first"), Authority.made(tmp_path / "second")
    certificate = ServerCertificate(str(first.cert_file), str(first.key_file))
    metrics = Metrics()
    metrics.register(CertificateMetrics(certificate))

    replaced(first, second)
    certificate.refresh()
    first.key_file.write_bytes(
        load_pem_private_key(second.key_file.read_bytes(), None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"phrase")
        )
    )
    certificate.refresh()
    text = metrics.render(policy_digest="")[0].decode()

    assert 'athens_certificate_reload_total{result="success"} 1.0' in text
    assert 'athens_certificate_reload_total{result="failure"} 1.0' in text
    ends = re.search(r"^athens_certificate_expiry_timestamp_seconds (\S+)$", text, re.MULTILINE)
    assert ends is not None
    assert 0 < float(ends[1]) - time.time() <= 24 * 3600


def test_a_key_with_a_passphrase_is_refused_by_name_and_nobody_is_asked(tmp_path: Path) -> None:
    made = Authority.made(tmp_path)
    key = load_pem_private_key(made.key_file.read_bytes(), None)
    made.key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"phrase")))

    with pytest.raises(CannotStart, match="the key has a passphrase; write it without one"):
        ServerCertificate(str(made.cert_file), str(made.key_file))


def test_a_certificate_that_does_not_fit_its_key_ends_the_start(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = Authority.made(tmp_path / "a"), Authority.made(tmp_path / "b")

    with pytest.raises(CannotStart, match=r"^TLSCertFile .*server\.pem, TLSKeyFile .*server\.key: the key does not be"):
        ServerCertificate(str(first.cert_file), str(second.key_file))


def test_files_that_are_no_certificate_and_key_are_told_as_such(tmp_path: Path) -> None:
    authority = Authority.made(tmp_path)
    for files in ((authority.key_file, authority.key_file), (authority.cert_file, authority.cert_file)):
        with pytest.raises(CannotStart, match="no PEM file of its kind; the first holds the certificates"):
            ServerCertificate(str(files[0]), str(files[1]))


async def closed(reader: asyncio.StreamReader) -> bytes:
    """What still came before the server closed the connection."""
    try:
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionError:
        return b""


@pytest.mark.parametrize(
    ("listener", "said"),
    [
        (Listener("two..dots.example.com", 3000), "two..dots.example.com:3000: no host has such a name"),
        (Listener(unix_socket=f"/tmp/{'s' * 200}"), "s: AF_UNIX path too long"),
    ],
)
async def test_an_address_that_cannot_be_listened_on_is_named_with_the_reason(listener: Listener, said: str) -> None:
    with pytest.raises(CannotStart) as caught:
        async with listening(answer, listener):
            pass

    assert str(caught.value).endswith(said)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_header_that_never_ends_loses_its_connection(sent: bytes) -> None:
    async with listening(answer, Listener("127.0.0.1", 0, shutdown_timeout_s=5, header_timeout_s=0.2)) as at:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(at.rpartition(":")[2]))
        writer.write(sent)

        assert await closed(reader) == b""
        writer.close()


async def test_a_second_header_on_the_connection_has_its_time_too() -> None:
    async with listening(answer, Listener("127.0.0.1", 0, shutdown_timeout_s=5, header_timeout_s=1.5)) as at:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(at.rpartition(":")[2]))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"read 0")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET / HT")

        assert await closed(reader) == b""
        writer.close()


async def test_a_slow_body_and_a_slow_answer_are_no_slow_header() -> None:
    arrived = asyncio.Event()

    async def slow(request: web.BaseRequest) -> web.StreamResponse:
        arrived.set()
        return await answer(request)

    async with listening(slow, Listener("127.0.0.1", 0, shutdown_timeout_s=5, header_timeout_s=1.0)) as at:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(at.rpartition(":")[2]))
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n1")
        await arrived.wait()
        answered = asyncio.create_task(reader.readuntil(b"read 2"))
        assert await asyncio.wait({answered}, timeout=1.5) == (set(), {answered})
        writer.write(b"2")

        assert (await answered).startswith(b"HTTP/1.1 200")
        writer.close()


async def patient_answer(request: web.BaseRequest) -> web.StreamResponse:
    """The answer once the client has said its last word, or is gone."""
    connection = request.protocol
    assert isinstance(connection, PatientConnection)
    async with asyncio.timeout(20):
        while not connection.has_ended and request.transport is not None:
            await asyncio.to_thread(str)  # some rounds of the event loop
    return await answer(request)


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "answers"),
    [(GET, 1), (GET * 3, 3), (POST + b"12", 1), (POST + b"1", 0), (GET[:-3], 0), (b"", 0)],
    ids=["one", "three at once", "with a body", "half a body", "half a header", "nothing"],
)
async def test_a_client_that_asks_no_more_gets_its_answers_and_then_the_end(sent: bytes, answers: int) -> None:
    """As `nc -N` and some probes do it."""
    async with listening(patient_answer, Listener("127.0.0.1", 0, shutdown_timeout_s=5)) as at:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(at.rpartition(":")[2]))
        writer.write(sent)
        writer.write_eof()
        async with asyncio.timeout(20):
            received = await reader.read()
        writer.close()

    assert received.count(b"HTTP/1.1 200 OK") == answers


NO_HTTP = {
    "a line that is too long": (
        b"GET /" + b"a" * 9000 + b" HTTP/1.1",
        "the request line or a header is longer than 8190",
    ),
    "a header that is too long": (
        b"GET / HTTP/1.1\r\nX: " + b"a" * 9000,
        "the request line or a header is longer than",
    ),
    "no method": (b"B\xffGUS", "Invalid method encountered"),
    "no host": (b"GET / HTTP/1.1", "Missing 'Host' header in request"),
    "bytes that are no ASCII": (b"GET /\xc3\xb6 HTTP/1.1\r\nHost: x", "Invalid char in url path"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "this port speaks http, not https"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM", "Pause on PRI/Upgrade"),
}


@pytest.mark.parametrize(("sent", "why"), NO_HTTP.values(), ids=NO_HTTP)
async def test_what_is_no_http_is_answered_in_one_line_that_quotes_nothing(
    sent: bytes, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(answer, Listener("127.0.0.1", 0, shutdown_timeout_s=5)) as at:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(at.rpartition(":")[2]))
        writer.write(sent + b"\r\n\r\n")
        head, _, body = (await asyncio.wait_for(reader.read(), 20)).partition(b"\r\n\r\n")
        writer.close()

    assert head.split(b"\r\n")[0].split(b" ", 1)[1] == b"400 Bad Request"
    assert b"Server: athens-proxy" in head
    assert b"Python" not in head
    assert body.decode().startswith(f"bad request: {why}")
    assert body.decode()[:-1].isprintable()
    assert body.endswith(b"\n")
    assert b"b'" not in body
    assert "Traceback" not in caplog.text


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


async def test_a_unix_socket_replaces_a_stale_one_and_is_gone_after_a_stop(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))  # as a process leaves it that was killed

    def call() -> bytes:
        connection = UnixConnection(path)
        connection.request("GET", "/")
        try:
            return connection.getresponse().read()
        finally:
            connection.close()

    async with listening(answer, Listener(unix_socket=str(path), shutdown_timeout_s=5)) as at:
        body = await asyncio.to_thread(call)

    assert (at, body) == (f"unixSocket={path}", b"read 0")
    assert not path.exists()


GO = """#!/bin/sh
echo "HOME=$HOME" >> "$SEEN"
cat "$HOME/.netrc" "$HOME/.hgrc" "$HOME/.gitconfig" >> "$SEEN"
echo "fatal: no such repository" >&2
exit 1
"""


def test_the_go_command_gets_a_home_of_its_own_with_the_credentials(tmp_path: Path) -> None:
    seen, go = tmp_path / "seen", tmp_path / "go"
    go.write_text(GO)
    go.chmod(0o755)
    (tmp_path / "_netrc").write_text("machine git.example.com login me password secret\n")
    (tmp_path / ".hgrc").write_text("[auth]\n")
    home = tmp_path / "proxy" / "home"
    home.mkdir(parents=True)
    (home / ".gitconfig").write_text("[user]\n")
    (home / ".netrc").write_text("the user's own\n")
    env = {
        "GO_BINARY_PATH": str(go),
        "ATHENS_NETRC_PATH": str(tmp_path / "_netrc"),
        "ATHENS_HGRC_PATH": str(tmp_path / ".hgrc"),
        "ATHENS_SUM_DBS": "",
    }
    settings = Settings("direct", go_env=("GOSUMDB=off", f"SEEN={seen}"), env=env)
    with running(tmp_path / "proxy", settings) as proxy:
        assert proxy.ask("/git.example.com/a/b/@v/v1.0.0.info").status >= 400

    first, *rest = seen.read_text().splitlines()
    assert first.startswith(f"HOME={tmp_path / 'proxy' / 'tmp'}/athens-home-")
    assert rest[:3] == ["machine git.example.com login me password secret", "[auth]", "[user]"]
    assert (home / ".netrc").read_text() == "the user's own\n"
    assert not list((tmp_path / "proxy" / "tmp").glob("athens-home-*"))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_drop_in_serves_below_its_prefix_over(tmp_path: Path, scheme: str) -> None:
    (tmp_path / "tls").mkdir()
    authority = Authority.made(tmp_path / "tls")
    upstream = f"file://{write_file_proxy(tmp_path / 'upstream', [M])}"
    env = {
        "ATHENS_PATH_PREFIX": "/go/",
        "PROXY_FORCE_SSL": "true",
        **(authority.settings() if scheme == "https" else {}),
    }
    with running(tmp_path / "proxy", Settings(upstream, env=env, scheme="http")) as proxy:
        port = int(proxy.address.rpartition(":")[2])
        connection = (
            http.client.HTTPSConnection("localhost", port, context=authority.trusted(), timeout=20)
            if scheme == "https"
            else http.client.HTTPConnection("localhost", port, timeout=20)
        )
        connection.request("GET", "/go/example.com/m/@v/list")
        answered = connection.getresponse()
        status, body, location = answered.status, answered.read(), answered.getheader("Location")
        connection.close()

    wanted = (200, b"v1.0.0\n", None)
    redirect = (301, b"use https\n", f"https://localhost:{port}/go/example.com/m/@v/list")
    assert (status, body, location) == (wanted if scheme == "https" else redirect)


@pytest.mark.parametrize("timeout_s", [0.0, 2.0])
async def test_a_request_that_does_not_end_keeps_the_listener_for_the_shutdown_timeout_and_no_longer(
    timeout_s: float,
) -> None:
    arrived, never = asyncio.Event(), asyncio.Event()

    async def endless(_request: web.BaseRequest) -> web.StreamResponse:
        arrived.set()
        await never.wait()
        return web.Response()

    async with asyncio.timeout(20), listening(endless, Listener("127.0.0.1", 0, shutdown_timeout_s=timeout_s)) as at:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(at.rpartition(":")[2]))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await arrived.wait()
        began_s = time.monotonic()
    took_s = time.monotonic() - began_s

    assert await closed(reader) == b""
    assert timeout_s <= took_s < 2 * (timeout_s or 10), "aiohttp alone waits twice, and for ever at 0"
    writer.close()
