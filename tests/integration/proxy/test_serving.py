"""Requests over a socket against a gate with a real disk store: statuses, headers and bodies as clients see them."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from athens_proxy.download.listing import NetworkMode
from athens_proxy.errors import (
    AccessDenied,
    ChecksumMismatch,
    CredentialRefused,
    InvalidModuleZip,
    Overloaded,
    ProxyError,
    StorageError,
    StorageFull,
    TlsFailure,
    UpstreamDenied,
    UpstreamError,
    UpstreamThrottled,
    UpstreamTimeout,
)
from athens_proxy.web.access import Access
from support.exchange import Answer, ask, basic_auth
from support.modules_fixture import SampleModule
from support.proxy_parts import Proxy, SampleUpstream, download_file, policy

M = SampleModule()
NEWER = SampleModule(version="v1.1.0")
BIG = SampleModule("example.com/big", files={"noise.bin": bytes(i * i % 251 for i in range(400_000))})
HUGE = SampleModule("example.com/huge", files={"noise.bin": random.Random(1).randbytes(16 << 20)})
LONG = SampleModule("example.com/long", go_mod=b"module example.com/long\n" + b"// as generators write it\n" * 20_000)
UPPER = SampleModule("github.com/Azure/x")
PSEUDO = SampleModule(version="v1.1.1-0.20200102030405-0123456789ab")


CLIENTS = ThreadPoolExecutor(100, thread_name_prefix="clients")


@pytest.fixture
def upstream(tmp_path: Path) -> SampleUpstream:
    sample = SampleUpstream(tmp_path / "scratch", [M, NEWER, BIG, HUGE, LONG, UPPER, PSEUDO])
    sample.queries = {"example.com/m@main": PSEUDO.version}
    return sample


@pytest.fixture
def proxy(tmp_path: Path, upstream: SampleUpstream) -> Proxy:
    return Proxy(tmp_path / "store", upstream)


@pytest.fixture
async def address(proxy: Proxy) -> AsyncIterator[str]:
    async with proxy.serving() as address:
        yield address


async def get(address: str, target: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> Answer:
    # Not the loop's own threads: those are the proxy's, and a hundred waiting clients would take them all.
    call = partial(ask, address, target, method=method, headers=headers)
    return await asyncio.get_running_loop().run_in_executor(CLIENTS, call)


async def test_the_five_resources_of_a_module(address: str) -> None:
    listed = await get(address, "/example.com/m/@v/list")
    latest = await get(address, "/example.com/m/@latest")
    info = await get(address, "/example.com/m/@v/v1.0.0.info")
    mod = await get(address, "/example.com/m/@v/v1.0.0.mod")
    zip_file = await get(address, "/example.com/m/@v/v1.0.0.zip")

    assert (listed.status, listed.media_type, listed.body) == (200, "text/plain", b"v1.0.0\nv1.1.0\n")
    assert (latest.status, json.loads(latest.body)["Version"]) == (200, PSEUDO.version)
    assert (info.status, info.media_type, info.body) == (200, "application/json", M.info)
    assert (mod.status, mod.media_type, mod.body) == (200, "text/plain", M.mod)
    assert (zip_file.status, zip_file.media_type, zip_file.body) == (200, "application/zip", M.zip)


async def test_a_large_zip_is_streamed_whole(address: str) -> None:
    answer = await get(address, "/example.com/big/@v/v1.0.0.zip")

    assert answer.body == BIG.zip
    assert answer.headers["content-length"] == str(len(BIG.zip))
    assert answer.headers["athens-request-id"]


@pytest.mark.parametrize("target", ["/github.com/!azure/x/@v/v1.0.0.mod", "/github.com/%21azure/x/@v/v1.0.0.mod"])
async def test_upper_case_comes_escaped_in_both_spellings(address: str, target: str) -> None:
    assert (await get(address, target)).body == UPPER.mod


@pytest.mark.parametrize(
    "target", ["/example.com/m/@v/v1.0.0.info", "/example.com/m/@v/v1.0.0.mod", "/example.com/m/@v/v1.0.0.zip"]
)
async def test_immutable_files_have_tags_ranges_and_long_lives(address: str, target: str) -> None:
    whole = await get(address, target)
    tag = whole.headers["etag"]
    part = await get(address, target, headers={"Range": "bytes=2-5"})
    tail = await get(address, target, headers={"Range": "bytes=-3"})
    beyond = await get(address, target, headers={"Range": "bytes=9999999-"})
    known = await get(address, target, headers={"If-None-Match": f'"other", W/{tag}'})
    outdated = await get(address, target, headers={"Range": "bytes=2-5", "If-Range": '"other"'})
    head = await get(address, target, method="HEAD")

    assert "max-age=604800" in whole.headers["cache-control"]
    assert (part.status, part.body) == (206, whole.body[2:6])
    assert part.headers["content-range"] == f"bytes 2-5/{len(whole.body)}"
    assert (tail.status, tail.body) == (206, whole.body[-3:])
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{len(whole.body)}")
    assert (known.status, known.body) == (304, b"")
    assert (outdated.status, outdated.body) == (200, whole.body)
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(whole.body)))
    assert head.headers["etag"] == tag


@pytest.mark.parametrize("value", ["bytes=5-2", "bytes=a-b", "items=0-1", "bytes=-", "bytes=0-1,4-5", "bytes=--1"])
async def test_a_range_that_makes_no_sense_gets_the_whole(address: str, value: str) -> None:
    answer = await get(address, "/example.com/m/@v/v1.0.0.mod", headers={"Range": value})

    assert (answer.status, answer.body) == (200, M.mod)


async def test_a_large_range_is_streamed(address: str) -> None:
    answer = await get(address, "/example.com/big/@v/v1.0.0.zip", headers={"Range": "bytes=10-199999"})

    assert (answer.status, answer.body) == (206, BIG.zip[10:200_000])


async def test_a_go_mod_too_long_for_one_write_is_served_like_any_other(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    target = "/example.com/long/@v/v1.0.0.mod"
    whole, head = await get(address, target), await get(address, target, method="HEAD")
    part = await get(address, target, headers={"Range": "bytes=5-399999"})

    assert (whole.body, part.status, part.body) == (LONG.mod, 206, LONG.mod[5:400_000])
    assert (head.body, head.headers["content-length"]) == (b"", str(len(LONG.mod)))
    lines = [vars(record) for record in caplog.records if record.getMessage() == "incoming request"]
    assert lines[0]["bytes"] == len(LONG.mod)


async def test_a_query_is_resolved_stored_and_kept_for_a_minute(
    address: str, proxy: Proxy, upstream: SampleUpstream
) -> None:
    answer = await get(address, "/example.com/m/@v/main.info")

    assert json.loads(answer.body)["Version"] == PSEUDO.version
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert await proxy.storage.info(PSEUDO.wanted) == PSEUDO.info
    assert upstream.asked[f"fetch {PSEUDO.wanted}"] == 1


@pytest.mark.parametrize("target", ["main.mod", "main.zip", "v1.mod", "v1.zip", "v1.0.0+meta.zip", "v2.0.0.zip"])
async def test_files_exist_of_canonical_versions_only(address: str, target: str, upstream: SampleUpstream) -> None:
    answer = await get(address, f"/example.com/m/@v/{target}")

    assert (answer.status, answer.text.startswith("not found: ")) == (404, True)
    assert not upstream.asked


async def test_a_stored_file_is_served_without_asking_upstream(
    address: str, proxy: Proxy, upstream: SampleUpstream, tmp_path: Path
) -> None:
    await proxy.save([M], tmp_path)
    upstream.failure = UpstreamError("down")

    for extension in ("info", "mod", "zip"):
        assert (await get(address, f"/example.com/m/@v/v1.0.0.{extension}")).status == 200
    assert proxy.lookups == [("info", True), ("gomod", True), ("zip", True)]


async def test_a_hundred_requests_for_one_missing_zip_are_one_fetch(address: str, upstream: SampleUpstream) -> None:
    answers = await asyncio.gather(*(get(address, "/example.com/big/@v/v1.0.0.zip") for _ in range(100)))

    assert {answer.status for answer in answers} == {200}
    assert {answer.body for answer in answers} == {BIG.zip}
    assert upstream.asked[f"fetch {BIG.wanted}"] == 1


async def test_a_client_that_leaves_does_not_cancel_the_fetch(
    address: str, proxy: Proxy, upstream: SampleUpstream
) -> None:
    upstream.gate.clear()
    host, _, port = address.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /example.com/m/@v/v1.0.0.zip HTTP/1.1\r\nHost: x\r\n\r\n")
    await writer.drain()
    await asyncio.wait_for(upstream.was_asked.wait(), 10)
    writer.close()
    await writer.wait_closed()
    upstream.gate.set()

    answer = await get(address, "/example.com/m/@v/v1.0.0.info")

    assert answer.status == 200
    assert upstream.asked[f"fetch {M.wanted}"] == 1


async def test_a_client_that_hangs_up_while_a_zip_flows_is_an_access_line_and_no_defect(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    target = "/example.com/huge/@v/v1.0.0.zip"
    assert (await get(address, target)).status == 200
    caplog.clear()
    host, _, port = address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")

    writer.transport.abort()

    async with asyncio.timeout(10):
        while not caplog.records:  # noqa: ASYNC110 - a log has no event to wait for
            await asyncio.sleep(0.01)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("INFO", "incoming request")]
    assert vars(caplog.records[0])["http-status"] == "499"


FAILURES: list[tuple[ProxyError, int, int]] = [
    (UpstreamDenied("the mirror says no"), 403, 404),
    (AccessDenied("denied by x: y"), 403, 403),
    (UpstreamError("origin broke"), 502, 404),
    (CredentialRefused("wrong password"), 502, 404),
    (TlsFailure("bad certificate"), 502, 404),
    (InvalidModuleZip("bad zip"), 502, 404),
    (ChecksumMismatch("h1:a h1:b"), 502, 502),
    (UpstreamThrottled("slow down", retry_after_s=7), 429, 404),
    (UpstreamTimeout("too slow"), 504, 404),
    (StorageFull("disk full"), 503, 503),
    (StorageError("disk broke"), 500, 500),
    (Overloaded("too many"), 503, 503),
]


@pytest.mark.parametrize(("failure", "strict", "lenient"), FAILURES, ids=lambda value: type(value).__name__)
async def test_every_failure_has_its_status_and_one_line_of_text(
    proxy: Proxy, upstream: SampleUpstream, failure: ProxyError, strict: int, lenient: int
) -> None:
    upstream.failure = failure
    for mode, status in (("strict", strict), ("notfound", lenient)):
        proxy.upstream_errors = mode
        async with proxy.serving() as address:
            answer = await get(address, "/example.com/m/@v/v1.0.0.zip", headers={"Athens-Request-ID": "request-7"})
        assert (answer.status, answer.headers["content-type"]) == (status, "text/plain; charset=utf-8")
        assert str(failure) in answer.text
        assert answer.text.count("\n") == 1
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["athens-request-id"] == "request-7"
        assert ("(request request-7)" in answer.text) == (status >= 500)
    assert await proxy.storage.versions(M.wanted.path) == []


@pytest.mark.parametrize(("failure", "level"), [(AccessDenied("denied by x: y"), "INFO"), (StorageError("x"), "ERROR")])
async def test_a_denial_is_no_error_in_the_log(
    address: str, upstream: SampleUpstream, caplog: pytest.LogCaptureFixture, failure: ProxyError, level: str
) -> None:
    caplog.set_level("INFO")
    upstream.failure = failure
    await get(address, "/example.com/m/@v/v1.0.0.zip")

    assert [record.levelname for record in caplog.records if str(failure) in record.getMessage()] == [level]


async def test_throttling_says_when_to_come_back(address: str, upstream: SampleUpstream) -> None:
    upstream.failure = UpstreamThrottled("slow down", retry_after_s=7)

    assert (await get(address, "/example.com/m/@v/v1.0.0.zip")).headers["retry-after"] == "7"


async def test_control_characters_and_length_of_foreign_text_are_tamed(address: str, upstream: SampleUpstream) -> None:
    upstream.failure = UpstreamError("first\n\n\x1b[31m" + "é" * 1000 + ": the reason")

    answer = await get(address, "/example.com/m/@v/v1.0.0.zip")

    assert answer.text.startswith("first")
    assert ": the reason (request " in answer.text
    assert answer.text.strip("\n").isprintable()
    assert len(answer.body) <= 700


async def test_a_defect_is_a_500_with_the_request_and_no_traceback(proxy: Proxy, upstream: SampleUpstream) -> None:
    upstream.failure = RuntimeError("secret detail")

    async with proxy.serving() as address:
        answer = await get(address, "/example.com/m/@v/v1.0.0.zip")

    assert answer.status == 500
    assert answer.text.startswith("internal error (request ")
    assert "secret" not in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("target", ["/", "/example.com/m/@v/list", "/example.com/m/@v/v1.0.0.zip", "/nothing"])
async def test_other_methods_are_not_allowed(address: str, method: str, target: str) -> None:
    answer = await get(address, target, method=method)

    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_head_is_get_without_a_body(address: str) -> None:
    for target in ("/", "/example.com/m/@v/list", "/example.com/m/@latest", "/catalog", "/version", "/readyz"):
        whole, head = await get(address, target), await get(address, target, method="HEAD")
        assert (head.status, head.body, head.headers["content-type"]) == (200, b"", whole.headers["content-type"])


async def test_a_sane_request_id_is_kept_and_another_replaced(address: str) -> None:
    for given, kept in (("abc-1", True), ("a b", False), ("x" * 200, False)):
        answer = await get(address, "/healthz", headers={"Athens-Request-ID": given})
        assert (answer.headers["athens-request-id"] == given) is kept


async def test_credentials_guard_everything_but_the_probes(proxy: Proxy) -> None:
    proxy.access = Access(user="user", password="pässword")
    async with proxy.serving() as address:
        for target in ("/", "/example.com/m/@v/list", "/metrics", "/catalog", "/-/policy", "/sumdb/x/supported", "/no"):
            answer = await get(address, target)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Basic realm="basic auth required"')
        for target in ("/healthz", "/readyz"):
            assert (await get(address, target)).status == 200
        for wrong in (basic_auth("user", "x"), basic_auth("x", "pässword"), {"Authorization": "Basic %%"}):
            assert (await get(address, "/", headers=wrong)).status == 401
        right = await get(address, "/example.com/m/@v/v1.0.0.mod", headers=basic_auth("user", "pässword"))

    assert (right.status, right.headers["cache-control"]) == (200, "private, max-age=604800, immutable")


async def test_probes_need_no_credential_and_no_tls_below_a_prefix_either(proxy: Proxy) -> None:
    proxy.access = Access(prefix="/go", user="user", password="secret", force_ssl=True)
    tls = {"X-Forwarded-Proto": "https"}
    async with proxy.serving() as address:
        for target in ("/healthz", "/readyz", "/go/healthz", "/go/readyz"):
            assert (await get(address, target)).status == 200
        for target in ("/go/", "/go/catalog", "/go/example.com/m/@v/list", "/metrics", "/go/nothing"):
            assert (await get(address, target, headers=tls)).status == 401
        assert (await get(address, "/go/catalog", headers={**tls, **basic_auth("user", "secret")})).status == 200


async def test_plain_http_is_sent_to_https_but_probes_are_not(proxy: Proxy) -> None:
    proxy.access = Access(force_ssl=True)
    async with proxy.serving() as address:
        answer = await get(address, "/example.com/m/@v/list?x=y")
        behind_tls = await get(address, "/example.com/m/@v/list", headers={"X-Forwarded-Proto": "https"})
        probe = await get(address, "/healthz")

    assert answer.status == 301
    assert answer.headers["location"].startswith("https://")
    assert answer.headers["location"].endswith("/example.com/m/@v/list?x=y")
    assert (behind_tls.status, probe.status) == (200, 200)


async def test_a_prefix_mounts_everything_and_probes_stay_at_the_root(proxy: Proxy) -> None:
    proxy.access = Access(prefix="/go")
    async with proxy.serving() as address:
        for target in ("/", "/healthz", "/readyz", "/metrics", "/go/", "/go/healthz", "/go/example.com/m/@v/list"):
            assert (await get(address, target)).status == 200
        for target in ("/go", "/example.com/m/@v/list", "/gone/", "/catalog"):
            assert (await get(address, target)).status == 404


async def test_the_catalogue_has_athens_shape(address: str, proxy: Proxy, tmp_path: Path) -> None:
    await proxy.save([M, NEWER, UPPER], tmp_path)

    first = await get(address, "/catalog?pagesize=2")
    second = await get(address, "/catalog?pagesize=2&token=example.com/m%7Cv1.1.0")
    bad = [await get(address, target) for target in ("/catalog?pagesize=x", "/catalog?token=nobar")]

    assert first.text == (
        '{"modules":[{"module":"example.com/m","version":"v1.0.0"},{"module":"example.com/m","version":"v1.1.0"}],'
        '"next":"example.com/m|v1.1.0"}\n'
    )
    assert second.text == '{"modules":[{"module":"github.com/Azure/x","version":"v1.0.0"}]}\n'
    assert [answer.status for answer in bad] == [400, 400]


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 200), ("?limit=99999", 200), ("?since=2026-01-02T15:04:05Z", 200), ("?limit=0", 400), ("?limit=x", 400),
     ("?limit=-1", 400), ("?since=x", 400), ("?since=2026-01-02", 400)],
)  # fmt: skip
async def test_the_index_is_empty_and_checks_its_query(address: str, query: str, status: int) -> None:
    assert (await get(address, f"/index{query}")).status == status


async def test_readiness_carries_the_digest_and_fails_with_the_store(proxy: Proxy, address: str) -> None:
    ready = await get(address, "/readyz")

    assert (ready.status, ready.headers["athens-policy-digest"]) == (200, proxy.policy.loaded.digest)


async def test_a_store_that_is_gone_is_not_ready(proxy: Proxy) -> None:
    for left in (proxy.root / ".athens" / "tmp", proxy.root / ".athens"):
        left.rmdir()
    async with proxy.serving() as address:
        answer = await get(address, "/readyz")
        alive = await get(address, "/healthz")

    assert (answer.status, alive.status) == (503, 200)
    assert "not ready: write to " in answer.text
    assert answer.headers["athens-policy-digest"] == proxy.policy.loaded.digest


async def test_metrics_count_lookups_fetches_and_requests(address: str) -> None:
    await get(address, "/example.com/m/@v/v1.0.0.mod")
    await get(address, "/example.com/m/@v/v1.0.0.mod")

    text = (await get(address, "/metrics")).text

    assert 'proxy_cache_lookup_total{cache_result="miss",cache_type="gomod"} 0' not in text
    assert 'proxy_upstream_fetch_total{fetch_result="success"} 1.0' in text
    assert 'proxy_http_requests_total{method="GET",status="200"} 2.0' in text
    assert 'athens_policy_info{digest="sha256:' in text


async def test_stored_files_only_on_request(address: str, upstream: SampleUpstream) -> None:
    for target, headers in (
        ("/example.com/m/@v/v1.0.0.zip", {"Disable-Module-Fetch": "true"}),
        ("/cached-only/example.com/m/@v/v1.0.0.zip", {}),
        ("/cached-only/example.com/m/@v/list", {}),
    ):
        assert (await get(address, target, headers=headers)).status == 404
    assert not upstream.asked

    await get(address, "/example.com/m/@v/v1.0.0.zip")

    assert (await get(address, "/cached-only/example.com/m/@v/v1.0.0.zip")).status == 200


@pytest.mark.parametrize("target", ["/github.com/@v/list", "/github.com/u/@latest", "/github.com/u/@v/v1.0.0.info"])
async def test_prefixes_of_repositories_are_not_asked_about(
    address: str, upstream: SampleUpstream, target: str
) -> None:
    assert (await get(address, target)).status == 404
    assert not upstream.asked


async def test_offline_serves_the_store_and_asks_nobody(proxy: Proxy, upstream: SampleUpstream, tmp_path: Path) -> None:
    proxy.network_mode = NetworkMode.OFFLINE
    await proxy.save([M, NEWER], tmp_path)
    async with proxy.serving() as address:
        listed = await get(address, "/example.com/m/@v/list")
        latest = await get(address, "/example.com/m/@latest")
        missing = [
            await get(address, target)
            for target in ("/example.com/big/@v/list", "/example.com/m/@v/main.info", "/example.com/big/@v/v1.0.0.zip")
        ]

    assert listed.text == "v1.0.0\nv1.1.0\n"
    assert json.loads(latest.body)["Version"] == "v1.1.0"
    assert [answer.status for answer in missing] == [404, 404, 404]
    assert not upstream.asked


async def test_denied_modules_are_403_on_every_endpoint_also_when_stored(proxy: Proxy, tmp_path: Path) -> None:
    await proxy.save([M], tmp_path)
    block = 'download "example.com/m" {\n  mode = "deny"\n  name = "cve-1"\n  reason = "use n instead"\n}'
    proxy.policy = policy(download_file(block))
    async with proxy.serving() as address:
        for target in ("list", "v1.0.0.info", "v1.0.0.mod", "v1.0.0.zip", "main.info"):
            answer = await get(address, f"/example.com/m/@v/{target}")
            assert (answer.status, answer.text) == (403, "denied by cve-1: use n instead\n")
        assert (await get(address, "/example.com/m/@latest")).status == 403
        assert (await get(address, "/example.com/big/@v/list")).status == 200


async def test_redirects_point_to_the_same_file_elsewhere(proxy: Proxy) -> None:
    proxy.access = Access(prefix="/go")
    proxy.policy = policy("redirect", download_url="https://mirror.example.com/base/")
    async with proxy.serving() as address:
        stable = await get(address, "/go/github.com/%21azure/x/@v/v1.0.0.zip?x=y")
        incompatible = await get(address, "/go/example.com/m/@v/v2.0.0+incompatible.mod")
        query = await get(address, "/go/example.com/m/@v/main.info")

    base = "https://mirror.example.com/base"
    assert [answer.status for answer in (stable, incompatible, query)] == [301, 301, 301]
    assert stable.headers["location"] == f"{base}/github.com/%21azure/x/@v/v1.0.0.zip"
    assert incompatible.headers["location"] == f"{base}/example.com/m/@v/v2.0.0+incompatible.mod"
    assert query.headers["location"] == f"{base}/example.com/m/@v/main.info"


async def test_a_stop_lets_running_requests_finish(proxy: Proxy, upstream: SampleUpstream) -> None:
    upstream.gate.clear()
    async with proxy.serving() as address:
        running = asyncio.create_task(get(address, "/example.com/m/@v/v1.0.0.zip"))
        await asyncio.wait_for(upstream.was_asked.wait(), 10)
        asyncio.get_running_loop().call_later(0.1, upstream.gate.set)

    assert (await running).body == M.zip
    with pytest.raises(ConnectionRefusedError):
        await get(address, "/healthz")
