"""An upstream module proxy over real HTTP on loopback: what is asked of it, and every way it can fail."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from athens_proxy.errors import (
    BadUpstreamAnswer,
    CredentialRefused,
    InvalidModuleZip,
    ModuleNotFound,
    ProxyError,
    StorageError,
    UpstreamDenied,
    UpstreamError,
    UpstreamThrottled,
    UpstreamTimeout,
)
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.upstream import goproxy as goproxy_module
from athens_proxy.upstream.file import FileTransport
from athens_proxy.upstream.goproxy import GoProxy
from athens_proxy.upstream.hops import HttpHop
from athens_proxy.upstream.http import HttpLimits, HttpTransport, open_upstream_session
from athens_proxy.upstream.zip_turns import ZipTurns
from support import goproxy_server as server
from support.goproxy_server import Fault, GoProxyServer
from support.modules_fixture import SampleModule, write_file_proxy, zip_bytes

MODULE = SampleModule(path="example.com/Upper", files={"data.bin": bytes(range(256)) * 64})
BASE = "example.com/!upper/@v/"
TWO_LENGTHS = "the answer is no valid HTTP: Duplicate Content-Length"
PATIENT = HttpLimits(connect_s=20, idle_s=20, small_file_s=25.0, retry_delay_s=0.001, error_body_s=20)
QUICK = replace(PATIENT, idle_s=0.3, error_body_s=1)
"""For upstreams that never end an answer, and no others: a busy machine holds anybody up for a third of a second."""


@pytest.fixture
async def upstream() -> AsyncIterator[GoProxyServer]:
    async with GoProxyServer([MODULE]).running() as running:
        yield running


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_upstream_session() as opened:
        yield opened


@pytest.fixture
def proxy(upstream: GoProxyServer, session: aiohttp.ClientSession) -> GoProxy:
    return GoProxy(HttpTransport(session, HttpHop(URL(upstream.url)), PATIENT), name=upstream.url)


async def failure(attempt: Awaitable[object]) -> ProxyError:
    with pytest.raises(ProxyError) as caught:
        await attempt
    assert str(caught.value).isprintable()
    return caught.value


async def test_one_version_is_fetched_with_one_request_for_each_file(
    proxy: GoProxy, upstream: GoProxyServer, tmp_path: Path
) -> None:
    fetched = await proxy.fetch(MODULE.wanted, tmp_path)

    assert (fetched.info, fetched.mod, fetched.zip_path.read_bytes()) == (MODULE.info, MODULE.mod, MODULE.zip)
    assert fetched.zip_size_bytes == len(MODULE.zip)
    assert upstream.requests == {BASE + "v1.0.0.info": 1, BASE + "v1.0.0.mod": 1, BASE + "v1.0.0.zip": 1}


async def test_a_query_is_resolved_before_it_is_fetched(
    proxy: GoProxy, upstream: GoProxyServer, tmp_path: Path
) -> None:
    upstream.files[BASE + "main.info"] = MODULE.info

    fetched = await proxy.fetch(ModuleVersion(MODULE.wanted.path, "main"), tmp_path)

    assert fetched.wanted == MODULE.wanted


async def test_a_list_keeps_what_may_be_listed_in_order(proxy: GoProxy, upstream: GoProxyServer) -> None:
    upstream.files[BASE + "list"] = (
        b"\nv1.10.0\r\nv1.1.0 2020-01-02T03:04:05Z\nv1.1.1-0.20200101000000-0123456789ab\ninvalid\nv1\nv2.0.0\nv1.1.0\n"
        b"v1.9.0-rc.1\nv3.0.0+incompatible\nv1.2.3+meta\n\xff\xfe\n"
    )

    assert await proxy.versions(MODULE.wanted.path) == ["v1.1.0", "v1.9.0-rc.1", "v1.10.0", "v3.0.0+incompatible"]


@pytest.mark.parametrize(
    "answer", [b"<!doctype html>\n<html>log in</html>", b'["v1.0.0"]', gzip.compress(b"v1.0.0\n", mtime=0)]
)
async def test_what_is_no_list_at_all_is_no_module_without_tags(
    proxy: GoProxy, upstream: GoProxyServer, answer: bytes
) -> None:
    upstream.files[BASE + "list"] = answer

    error = await failure(proxy.versions(MODULE.wanted.path))

    assert isinstance(error, BadUpstreamAnswer)
    assert "answered a list without a version" in str(error)


async def test_an_empty_list_is_a_module_without_tags(proxy: GoProxy, upstream: GoProxyServer) -> None:
    upstream.files[BASE + "list"] = b""

    assert await proxy.versions(MODULE.wanted.path) == []


async def test_latest_is_the_proxys_word_or_else_the_highest_release(proxy: GoProxy, upstream: GoProxyServer) -> None:
    upstream.files[BASE + "list"] = b"v1.0.0\nv1.1.0-rc.1\n"
    from_list = await proxy.latest(MODULE.wanted.path)
    upstream.files["example.com/!upper/@latest"] = b'{"Version":"v1.7.0"}'
    from_endpoint = await proxy.latest(MODULE.wanted.path)

    assert (from_list.version, from_endpoint.version) == ("v1.0.0", "v1.7.0")


async def test_latest_of_a_module_without_versions_is_not_found(proxy: GoProxy, upstream: GoProxyServer) -> None:
    upstream.files[BASE + "list"] = b""

    assert isinstance(await failure(proxy.latest(MODULE.wanted.path)), ModuleNotFound)


async def test_a_version_prefix_means_its_highest_release(proxy: GoProxy, upstream: GoProxyServer) -> None:
    upstream.files[BASE + "list"] = b"v1.0.0\nv1.0.1-rc.1\nv0.9.0\n"

    info = await proxy.resolve(ModuleVersion(MODULE.wanted.path, "v1.0"))

    assert info.version == "v1.0.0"


@pytest.mark.parametrize("extension", ["info", "mod", "zip"])
@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (server.status(404, "not found: no such revision"), ModuleNotFound, "not found: no such revision"),
        (server.status(410, "gone"), ModuleNotFound, "not found: gone"),
        (server.status(404, "nothing", headers={"X-Policy": "x" * 20_000}), ModuleNotFound, "not found: nothing"),
        (server.status(403, "denied by admin: \x1b[31mlicence\n\n second"), UpstreamDenied, "licence second"),
        (server.status(401), CredentialRefused, "401"),
        (server.status(429, headers={"Retry-After": "17"}), UpstreamThrottled, "429"),
        (server.status(500, "boom"), UpstreamError, "boom"),
        (server.status(502), UpstreamError, "502"),
        (server.status(504), UpstreamTimeout, "504"),
        (server.status(400, "bad"), BadUpstreamAnswer, "400"),
        (server.status(204), BadUpstreamAnswer, "204"),
        (server.status(206, "part"), BadUpstreamAnswer, "206"),
        (server.status(304), BadUpstreamAnswer, "304"),
        (server.redirect_loop, BadUpstreamAnswer, "10 redirects"),
        (server.redirect("ftp://example.com/"), BadUpstreamAnswer, "not http"),
        (server.redirect("http://[broken/"), BadUpstreamAnswer, "invalid address"),
        (server.redirect("http://example.com:99999/"), BadUpstreamAnswer, "invalid address"),
        (server.redirect("http://two..dots.example.com/"), BadUpstreamAnswer, "no valid host name"),
        (server.encoded("gzip", lambda data: gzip.compress(data)[:-4]), BadUpstreamAnswer, "cut off within its gzip"),
        (server.encoded("gzip", lambda data: gzip.compress(data)[:-9]), BadUpstreamAnswer, "cut off within its gzip"),
        (server.encoded("gzip", lambda data: data), BadUpstreamAnswer, "damaged gzip"),
        (server.encoded("gzip", lambda data: gzip.compress(data) + b"more"), BadUpstreamAnswer, "damaged gzip"),
        (server.encoded("zstd", lambda data: data), BadUpstreamAnswer, "compressed as zstd"),
        (server.truncate, BadUpstreamAnswer, "cut off"),
        (server.drop, UpstreamError, "connection failed"),
        (
            server.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            BadUpstreamAnswer,
            TWO_LENGTHS,
        ),
        (server.raw(b"no HTTP at all"), BadUpstreamAnswer, "the answer is no valid HTTP: Bad status line"),
        (server.body(b"<html>login</html>", content_type="text/html"), UpstreamError, ""),
        (server.body(b""), UpstreamError, ""),
    ],
)
async def test_each_failure_of_a_file_has_its_error(
    proxy: GoProxy,
    upstream: GoProxyServer,
    tmp_path: Path,
    extension: str,
    fault: Fault,
    kind: type[ProxyError],
    said: str,
) -> None:
    upstream.faults[BASE + "v1.0.0." + extension] = fault

    error = await failure(proxy.fetch(MODULE.wanted, tmp_path))

    assert isinstance(error, kind)
    assert said in str(error)


@pytest.mark.parametrize("extension", ["info", "mod", "zip"])
@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (server.stalling_status(404, "nothing yet"), ModuleNotFound, "not found: nothing yet"),
        (server.hang, UpstreamTimeout, "no progress"),
        (server.stall, UpstreamTimeout, "no progress"),
        (server.drip_header, UpstreamTimeout, "no progress"),
    ],
)
async def test_an_answer_that_never_ends_is_given_up(
    session: aiohttp.ClientSession,
    upstream: GoProxyServer,
    tmp_path: Path,
    extension: str,
    fault: Fault,
    kind: type[ProxyError],
    said: str,
) -> None:
    upstream.faults[BASE + "v1.0.0." + extension] = fault
    proxy = GoProxy(HttpTransport(session, HttpHop(URL(upstream.url)), QUICK), name=upstream.url)

    error = await failure(proxy.fetch(MODULE.wanted, tmp_path))

    assert isinstance(error, kind)
    assert said in str(error)


def in_members(data: bytes) -> bytes:
    """Gzip in two members, as some storage concatenates it."""
    return gzip.compress(data[:20]) + gzip.compress(data[20:])


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [("gzip", gzip.compress), ("X-GZip", in_members), ("aws-chunked", bytes), ("identity", bytes)],
)
async def test_an_encoded_answer_is_taken_as_the_go_command_takes_it(
    proxy: GoProxy, upstream: GoProxyServer, tmp_path: Path, encoding: str, encode: Callable[[bytes], bytes]
) -> None:
    upstream.faults["*"] = server.encoded(encoding, encode)

    fetched = await proxy.fetch(MODULE.wanted, tmp_path)

    assert (fetched.info, fetched.mod, fetched.zip_path.read_bytes()) == (MODULE.info, MODULE.mod, MODULE.zip)


async def test_a_compressed_body_beyond_its_limit_is_not_unpacked_to_its_end(
    proxy: GoProxy, upstream: GoProxyServer
) -> None:
    packed = gzip.compress(bytes(30_000_000))  # beforehand: it would hold up the loop that the proxy waits in
    upstream.faults[BASE + "v1.0.0.info"] = server.encoded("gzip", lambda _: packed)

    assert "more than" in str(await failure(proxy.resolve(MODULE.wanted)))


WITHOUT_GO_MOD = zip_bytes([(f"{MODULE.wanted}/m.go", b"package m\n")])
MODULE_LINE = f"module {MODULE.path}\n".encode()


@pytest.mark.parametrize(
    ("extension", "kept_bytes", "zip_file", "mod"),
    [
        ("info", -5, MODULE.zip, MODULE.mod),
        ("mod", -5, MODULE.zip, MODULE.mod),
        ("mod", len(MODULE_LINE), MODULE.zip, MODULE.mod),
        ("mod", -3, WITHOUT_GO_MOD, MODULE_LINE),
        ("zip", -5, MODULE.zip, MODULE.mod),
    ],
    ids=["info", "mod", "mod-at-the-end-of-a-line", "mod-of-a-module-without", "zip"],
)
async def test_an_answer_that_is_cut_where_nothing_says_how_long_it_is_gives_no_version(
    proxy: GoProxy,
    upstream: GoProxyServer,
    tmp_path: Path,
    extension: str,
    kept_bytes: int,
    zip_file: bytes,
    mod: bytes,
) -> None:
    upstream.files[BASE + "v1.0.0.zip"], upstream.files[BASE + "v1.0.0.mod"] = zip_file, mod
    upstream.faults[BASE + "v1.0.0." + extension] = server.unmarked(lambda data: data[:kept_bytes])

    assert isinstance(await failure(proxy.fetch(MODULE.wanted, tmp_path)), UpstreamError)


@pytest.mark.parametrize(
    "fault", [server.unmarked(bytes), server.many_headers(500)], ids=["only the connection ends it", "500 headers"]
)
async def test_an_unusual_answer_is_taken_as_the_go_command_takes_it(
    proxy: GoProxy, upstream: GoProxyServer, tmp_path: Path, fault: Fault
) -> None:
    upstream.faults["*"] = fault

    fetched = await proxy.fetch(MODULE.wanted, tmp_path)

    assert (fetched.info, fetched.mod, fetched.zip_path.read_bytes()) == (MODULE.info, MODULE.mod, MODULE.zip)


async def test_the_zip_that_tells_whether_a_go_mod_is_whole_comes_at_once(
    upstream: GoProxyServer, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    turns = ZipTurns()
    proxy = GoProxy(HttpTransport(session, HttpHop(URL(upstream.url)), PATIENT), name=upstream.url, turns=turns)
    upstream.files[BASE + "v1.0.0.mod"] = MODULE.mod.rstrip()
    upstream.files[BASE + "v1.0.0.zip"] = zip_bytes([(f"{MODULE.wanted}/go.mod", MODULE.mod.rstrip())])
    upstream.faults[BASE + "v1.0.0.mod"] = server.unmarked(bytes)
    turns.asked(MODULE.wanted, "mod")
    turns.asked(replace(MODULE.wanted, version="v1.9.0"), "mod")  # which makes the other one unlikely to be selected

    async with asyncio.timeout(5):
        assert (await proxy.fetch(MODULE.wanted, tmp_path)).mod == MODULE.mod.rstrip()


async def test_a_go_mod_of_told_length_is_taken_whatever_the_one_in_its_zip_goes_on_with(
    proxy: GoProxy, upstream: GoProxyServer, tmp_path: Path
) -> None:
    upstream.files[BASE + "v1.0.0.mod"] = MODULE_LINE
    upstream.files[BASE + "v1.0.0.zip"] = zip_bytes([(f"{MODULE.wanted}/go.mod", MODULE_LINE + b"\ngo 1.16\n")])

    assert (await proxy.fetch(MODULE.wanted, tmp_path)).mod == MODULE_LINE


@pytest.mark.parametrize("mod", [MODULE_LINE, MODULE_LINE.rstrip()])
async def test_a_module_without_go_mod_has_the_line_that_says_its_name(
    proxy: GoProxy, upstream: GoProxyServer, tmp_path: Path, mod: bytes
) -> None:
    upstream.files[BASE + "v1.0.0.zip"], upstream.files[BASE + "v1.0.0.mod"] = WITHOUT_GO_MOD, mod

    assert (await proxy.fetch(MODULE.wanted, tmp_path)).mod == mod


async def test_retry_after_reaches_the_error(proxy: GoProxy, upstream: GoProxyServer) -> None:
    upstream.faults["*"] = server.status(429, headers={"Retry-After": "17"})

    error = await failure(proxy.versions(MODULE.wanted.path))

    assert isinstance(error, UpstreamThrottled)
    assert error.retry_after_s == 17


@pytest.mark.parametrize(
    ("extension", "answer", "kind"),
    [
        ("info", b'{"Version":"v1.0.1"}', BadUpstreamAnswer),
        ("info", b"not json", BadUpstreamAnswer),
        ("info", b'{"Version":"v1.0.0","Time":""}', BadUpstreamAnswer),
        ("mod", b"hello", BadUpstreamAnswer),
        ("zip", b"PK\x03\x04 corrupt", InvalidModuleZip),
        ("zip", SampleModule(path="example.com/other").zip, InvalidModuleZip),
    ],
)
async def test_what_is_no_such_file_is_refused(
    proxy: GoProxy, upstream: GoProxyServer, tmp_path: Path, extension: str, answer: bytes, kind: type[ProxyError]
) -> None:
    upstream.files[BASE + "v1.0.0." + extension] = answer

    error = await failure(proxy.fetch(MODULE.wanted, tmp_path))

    assert type(error) is kind
    assert upstream.url in str(error)


@pytest.mark.parametrize("answer", [b'{"Version":"v2.0.0"}', b'{"Version":"main"}', b'{"Version":"../x"}'])
async def test_a_query_that_becomes_no_version_of_the_module_is_refused(
    proxy: GoProxy, upstream: GoProxyServer, answer: bytes
) -> None:
    upstream.files[BASE + "main.info"] = answer

    assert isinstance(await failure(proxy.resolve(ModuleVersion(MODULE.wanted.path, "main"))), BadUpstreamAnswer)


async def test_a_body_beyond_its_limit_is_not_read_to_its_end(
    proxy: GoProxy, upstream: GoProxyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.files[BASE + "v1.0.0.info"] = json.dumps({"Version": "v1.0.0", "x": "y" * 3_000_000}).encode()

    assert "more than" in str(await failure(proxy.resolve(MODULE.wanted)))
    assert goproxy_module.MAX_INFO_BYTES < 3_000_000


async def test_a_zip_that_drips_arrives_however_long_it_takes(
    session: aiohttp.ClientSession, upstream: GoProxyServer, tmp_path: Path
) -> None:
    upstream.faults[BASE + "v1.0.0.zip"] = server.drip(chunk_bytes=len(MODULE.zip) // 12 + 1, pause_s=0.1)
    limits = replace(PATIENT, idle_s=1.0)
    proxy = GoProxy(HttpTransport(session, HttpHop(URL(upstream.url)), limits), name=upstream.url)

    fetched = await proxy.fetch(MODULE.wanted, tmp_path)

    assert fetched.zip_path.read_bytes() == MODULE.zip


async def test_a_small_file_that_drips_for_ever_is_given_up(
    session: aiohttp.ClientSession, upstream: GoProxyServer
) -> None:
    upstream.files[BASE + "list"] = b"v1.0.0\n" * 50
    upstream.faults[BASE + "list"] = server.drip(chunk_bytes=1, pause_s=0.1)
    limits = replace(PATIENT, small_file_s=1.0)
    proxy = GoProxy(HttpTransport(session, HttpHop(URL(upstream.url)), limits), name=upstream.url)

    assert isinstance(await failure(proxy.versions(MODULE.wanted.path)), UpstreamTimeout)


@pytest.mark.parametrize(("drops", "succeeds"), [(1, True), (3, True), (4, False)])
async def test_a_connection_that_breaks_without_an_answer_is_retried_a_few_times(
    proxy: GoProxy, upstream: GoProxyServer, drops: int, succeeds: bool
) -> None:
    upstream.faults[BASE + "list"] = server.failing_first(drops, server.drop)

    (asked,) = await asyncio.gather(proxy.versions(MODULE.wanted.path), return_exceptions=True)

    assert isinstance(asked, list) is succeeds
    assert upstream.requests[BASE + "list"] == min(drops + 1, 4)


async def test_an_answered_failure_is_not_retried(proxy: GoProxy, upstream: GoProxyServer) -> None:
    upstream.faults["*"] = server.status(503)
    await failure(proxy.versions(MODULE.wanted.path))

    assert upstream.requests[BASE + "list"] == 1


async def test_redirects_are_followed(proxy: GoProxy, upstream: GoProxyServer) -> None:
    upstream.files["elsewhere"] = b"v1.2.3\n"
    upstream.faults[BASE + "list"] = server.redirect("/elsewhere")

    assert await proxy.versions(MODULE.wanted.path) == ["v1.2.3"]


async def test_a_credential_never_travels_over_plain_http(
    upstream: GoProxyServer, session: aiohttp.ClientSession
) -> None:
    hop = HttpHop(URL(upstream.url), "Basic c2VjcmV0")
    await GoProxy(HttpTransport(session, hop, PATIENT), name="x").versions(MODULE.wanted.path)

    assert "Authorization" not in upstream.headers[BASE + "list"]


async def test_base_path_and_query_of_the_hop_are_kept(upstream: GoProxyServer, session: aiohttp.ClientSession) -> None:
    upstream.files["base/" + BASE + "list"] = b"v1.0.0\n"
    hop = HttpHop(URL(upstream.url + "/base?token=1"))

    assert await GoProxy(HttpTransport(session, hop, PATIENT), name="x").versions(MODULE.wanted.path) == ["v1.0.0"]


async def test_nobody_listening_is_an_upstream_error(session: aiohttp.ClientSession, unused_tcp_port: int) -> None:
    hop = HttpHop(URL(f"http://127.0.0.1:{unused_tcp_port}"))
    proxy = GoProxy(HttpTransport(session, hop, PATIENT), name="x")

    assert type(await failure(proxy.versions(MODULE.wanted.path))) is UpstreamError


async def test_a_server_that_never_finishes_its_handshake_is_told_as_no_connection(
    session: aiohttp.ClientSession,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hop = HttpHop(URL(f"https://127.0.0.1:{silent.getsockname()[1]}"))
        proxy = GoProxy(HttpTransport(session, hop, HttpLimits(connect_s=0.1)), name="x")
        error = await failure(proxy.versions(MODULE.wanted.path))

    assert isinstance(error, UpstreamTimeout)
    assert "no connection in time; check the network" in str(error)


async def test_a_scratch_directory_that_cannot_be_written_is_our_fault(proxy: GoProxy, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    assert isinstance(await failure(proxy.fetch(MODULE.wanted, tmp_path / "file" / "below")), StorageError)


@pytest.fixture
def file_proxy(tmp_path: Path) -> GoProxy:
    return GoProxy(FileTransport(write_file_proxy(tmp_path / "proxy", [MODULE])), name="file://x")


async def test_a_directory_serves_as_a_proxy(file_proxy: GoProxy, tmp_path: Path) -> None:
    fetched = await file_proxy.fetch(MODULE.wanted, tmp_path)

    assert fetched.zip_path.read_bytes() == MODULE.zip
    assert await file_proxy.versions(MODULE.wanted.path) == ["v1.0.0"]
    assert (await file_proxy.latest(MODULE.wanted.path)).version == "v1.0.0"


class AtHand:
    """A `ProxyTransport` that answers every file at once."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self, path: str, *, at_most_bytes: int) -> bytes:
        return self._data

    async def download(self, path: str, into: Path, *, at_most_bytes: int) -> int:
        return await asyncio.to_thread(into.write_bytes, self._data)


async def test_nobody_waits_until_a_long_list_is_read() -> None:
    listed = [f"v1.{number // 100}.{number % 100}" for number in range(10_000)]
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    versions = await GoProxy(AtHand("\n".join(listed).encode()), name="x").versions(MODULE.wanted.path)
    turning.cancel()

    assert versions == listed
    assert turns > 10  # one at most, if the loop stood still


async def test_the_directorys_own_zip_is_copied_not_moved(file_proxy: GoProxy, tmp_path: Path) -> None:
    fetched = await file_proxy.fetch(MODULE.wanted, tmp_path)
    fetched.zip_path.write_bytes(b"")

    assert (tmp_path / "proxy" / (BASE + "v1.0.0.zip")).read_bytes() == MODULE.zip


async def test_absent_files_of_a_directory_are_not_found(file_proxy: GoProxy, tmp_path: Path) -> None:
    absent = ModulePath.parse("example.com/absent")

    assert isinstance(await failure(file_proxy.versions(absent)), ModuleNotFound)
    assert isinstance(await failure(file_proxy.fetch(ModuleVersion(absent, "v1.0.0"), tmp_path)), ModuleNotFound)
    assert isinstance(await failure(file_proxy.resolve(ModuleVersion(absent, "main"))), ModuleNotFound)
