"""Traces of a real process, as their receivers see them; and receivers that are of no use, which nobody may notice."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from support import jaeger
from support.authority import Authority
from support.exchange import Answer
from support.goproxy_server import GoProxyServer
from support.modules_fixture import SampleModule
from support.proxy_process import ModuleProxy, Settings, running_beside
from support.trace_receivers import Received, Receiver, cloud_trace, hanging, otlp_over_grpc, otlp_over_http

M = SampleModule()
TARGETS = [f"/{M.path}/@v/{M.version}.{extension}" for extension in ("info", "mod", "zip")]
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=1", "baggage": "user=me"}
GIVEN_S = 10.0  # to a collector that hangs
LAYERS = {
    ("proxy", ""),
    ("policy", "proxy"),
    ("storage.zip", "proxy"),
    ("stash", "proxy"),
    ("fetch", "stash"),
    ("upstream.fetch", "fetch"),
    ("HTTP GET", "upstream.fetch"),
    ("storage.save", "stash"),
}


@asynccontextmanager
async def traced(folder: Path, exporter: str, url: str, **env: str) -> AsyncIterator[tuple[ModuleProxy, GoProxyServer]]:
    upstream = GoProxyServer([M])
    async with upstream.running():
        settings = {
            "ATHENS_TRACE_EXPORTER": exporter,
            "ATHENS_TRACE_EXPORTER_URL": url,
            "ATHENS_LOG_FORMAT": "json",
            "GO_ENV": "production",
            **env,
        }
        async with running_beside(folder, Settings(upstream.url, env=settings)) as proxy:
            yield proxy, upstream


async def ask(proxy: ModuleProxy, target: str, headers: Mapping[str, str] | None = None) -> Answer:
    return await asyncio.to_thread(proxy.ask, target, headers=headers)


def tree(spans: list[Received]) -> set[tuple[str, str]]:
    """Names of spans and of what they are a part of, "" where that is not ours."""
    names = {span.span_id: span.name for span in spans}
    return {(span.name, names.get(span.parent_id, "")) for span in spans}


def has_whole(trace_id: str) -> Callable[[list[Received]], bool]:
    """Whether the first span of a trace, which is the last to end, has arrived."""
    return lambda spans: any(span.trace_id == trace_id and span.name == "proxy" for span in spans)


@pytest.mark.parametrize(
    ("exporter", "receiver"),
    [("otlp", otlp_over_http), ("jaeger", otlp_over_grpc)],
)
async def test_a_request_is_one_span_for_each_layer_between_the_callers_and_the_upstreams(
    tmp_path: Path, exporter: str, receiver: Callable[[], AbstractContextManager[Receiver]]
) -> None:
    with receiver() as collector:
        async with traced(tmp_path, exporter, collector.url) as (proxy, upstream):
            answer = await ask(proxy, TARGETS[2], CALLER)
            spans = await asyncio.to_thread(collector.wait_for, has_whole(TRACE))
            sent = upstream.headers[TARGETS[2].lstrip("/")]

    of_request = [span for span in spans if span.trace_id == TRACE]
    (request,) = [span for span in of_request if span.name == "proxy"]
    asked = {span.span_id for span in of_request if span.name == "HTTP GET"}
    assert (answer.status, answer.body) == (200, M.zip)
    assert tree(of_request) == LAYERS
    assert request.parent_id == SPAN
    assert {span.service for span in spans} == {"proxy"}
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["url.path"] == TARGETS[2]
    assert request.attributes["athens.request_id"] == answer.headers["athens-request-id"]
    assert request.attributes["athens.cache"] == "miss"
    version, trace_id, span_id, flags = sent["traceparent"].split("-")
    assert (version, trace_id, flags, sent["tracestate"]) == ("00", TRACE, "01", "vendor=1")
    assert span_id in asked
    assert "baggage" not in {name.lower() for name in sent}


@pytest.mark.parametrize("receiver", [otlp_over_http, otlp_over_grpc])
async def test_a_collector_with_a_certificate_of_ones_own_is_trusted_with_credentials(
    tmp_path: Path, receiver: Callable[..., AbstractContextManager[Receiver]]
) -> None:
    authority = Authority.made(tmp_path)
    trust = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(authority.ca_file), "OTEL_EXPORTER_OTLP_HEADERS": "x-key=k%201"}
    with receiver(authority=authority) as collector:
        url = collector.url.replace("https://", "https://user:pass@")
        async with traced(tmp_path / "proxy", "otlp", url, **trust) as (proxy, _):
            await ask(proxy, TARGETS[0], CALLER)
            await asyncio.to_thread(collector.wait_for, has_whole(TRACE))
            config = await ask(proxy, "/-/config")

    assert collector.headers["authorization"] == "Basic dXNlcjpwYXNz"
    assert collector.headers["x-key"] == "k 1"
    assert "pass" not in proxy.process.logged()
    assert "user:pass" not in config.text


if os.environ.get("ATHENS_TEST_FULL"):  # to build Jaeger takes minutes; the receivers here decode the same bytes

    async def test_jaeger_shows_the_layers_of_a_request(tmp_path: Path) -> None:
        with jaeger.running(tmp_path) as server:
            async with traced(tmp_path / "proxy", "jaeger", server.url) as (proxy, _):
                await ask(proxy, TARGETS[2], CALLER)
                spans = await asyncio.to_thread(server.trace, TRACE, at_least=len(LAYERS) + 2)

        names = {span["spanID"]: span["operationName"] for span in spans}
        parents = {
            (span["operationName"], names.get(reference["spanID"], ""))
            for span in spans
            for reference in span["references"]
        }
        assert parents == LAYERS


async def test_google_cloud_trace_gets_the_same_in_its_own_words(tmp_path: Path) -> None:
    with cloud_trace("p-1") as service:
        async with traced(tmp_path, "stackdriver", service.url) as (proxy, _):
            await ask(proxy, TARGETS[2], CALLER)
            spans = await asyncio.to_thread(service.wait_for, has_whole(TRACE))

    of_request = [span for span in spans if span.trace_id == TRACE]
    (request,) = [span for span in of_request if span.name == "proxy"]
    assert tree(of_request) == LAYERS
    assert {span.service for span in spans} == {"projects/p-1"}
    assert request.attributes["/http/status_code"] == 200
    assert service.headers["x-goog-request-params"] == "name=projects/p-1"


async def test_answers_from_memory_are_traced_and_tied_to_their_log_lines(tmp_path: Path) -> None:
    with otlp_over_http() as collector:
        async with traced(tmp_path, "otlp", collector.url) as (proxy, _):
            for _ in range(3):
                for target in TARGETS:
                    await ask(proxy, target)
            answer = await ask(proxy, TARGETS[0])
            request_id = answer.headers["athens-request-id"]

            def has_arrived(spans: list[Received]) -> bool:
                return any(span.attributes.get("athens.request_id") == request_id for span in spans)

            spans = await asyncio.to_thread(collector.wait_for, has_arrived)
            written = await asyncio.to_thread(
                proxy.process.until_logged,
                lambda lines: any(request_id in line and "incoming" in line for line in lines),
                what="done with the line of the last request",
            )
            lines = [json.loads(line) for line in written if "incoming" in line]

    (span,) = [span for span in spans if span.attributes.get("athens.request_id") == request_id]
    (line,) = [line for line in lines if line["request-id"] == request_id]
    assert line["trace-id"] == span.trace_id
    assert (span.attributes["athens.cache"], span.attributes["client.address"]) == ("hit", "127.0.0.1")
    assert [other.name for other in spans if other.parent_id == span.span_id] == []


async def test_a_trace_that_nobody_samples_is_not_recorded_but_passed_on(tmp_path: Path) -> None:
    with otlp_over_http() as collector:
        async with traced(tmp_path, "otlp", collector.url, ATHENS_TRACE_SAMPLING_FRACTION="0") as (proxy, upstream):
            await ask(proxy, TARGETS[0], {"traceparent": f"00-{TRACE}-{SPAN}-00"})
            await ask(proxy, TARGETS[0])
            await ask(proxy, TARGETS[2], CALLER)
            spans = await asyncio.to_thread(collector.wait_for, has_whole(TRACE))
            sent = upstream.headers[TARGETS[0].lstrip("/")]

    assert sent["traceparent"].startswith(f"00-{TRACE}-")
    assert sent["traceparent"].endswith("-00")
    assert {span.attributes.get("url.path") for span in spans if span.name == "proxy"} == {TARGETS[2]}


async def test_in_development_everything_is_recorded_as_in_athens(tmp_path: Path) -> None:
    with otlp_over_http() as collector:
        async with traced(
            tmp_path, "otlp", collector.url, ATHENS_TRACE_SAMPLING_FRACTION="0", GO_ENV="development"
        ) as (proxy, _):
            await ask(proxy, TARGETS[0], {"traceparent": f"00-{TRACE}-{SPAN}-00"})
            await asyncio.to_thread(collector.wait_for, has_whole(TRACE))


@contextmanager
def refusing() -> Iterator[Receiver]:
    """A port where nobody listens, kept from others."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield Receiver(f"http://127.0.0.1:{taken.getsockname()[1]}")


@contextmanager
def not_a_collector() -> Iterator[Receiver]:
    with otlp_over_http(status=404) as receiver:
        yield receiver


@contextmanager
def plain_where_tls_is_wanted() -> Iterator[Receiver]:
    with otlp_over_http() as receiver:
        yield Receiver(receiver.url.replace("http://", "https://"))


@pytest.mark.parametrize(
    ("receiver", "protocol"),
    [
        (refusing, "grpc"),
        (hanging, "grpc"),
        (hanging, "http"),
        (not_a_collector, "http"),
        (plain_where_tls_is_wanted, "grpc"),
    ],
)
async def test_a_collector_that_is_of_no_use_changes_no_answer_and_is_told_of_once(
    tmp_path: Path, receiver: Callable[[], AbstractContextManager[Receiver]], protocol: str
) -> None:
    begun = time.monotonic()
    with receiver() as collector:
        base = collector.url.removesuffix("/v1/traces")
        url = f"{base}/v1/traces" if protocol == "http" else base
        async with traced(tmp_path, "otlp", url) as (proxy, _):
            answers = [await ask(proxy, target) for _ in range(5) for target in TARGETS]
            waits = receiver is hanging
            if not waits:
                await asyncio.to_thread(
                    proxy.process.wait_until, lambda: warnings(proxy) != [], what="warning", deadline_s=20
                )
            more = [await ask(proxy, target) for _ in range(5) for target in TARGETS]
            status = await asyncio.to_thread(proxy.process.stop)

    took_s = time.monotonic() - begun
    assert {answer.status for answer in answers + more} == {200}
    assert {answer.body for answer in answers} == {answer.body for answer in more} == {M.info, M.mod, M.zip}
    possible = {1} if not waits else {0} if took_s < GIVEN_S else {0, 1}
    assert len(warnings(proxy)) in possible, proxy.process.tail()
    assert status == 0
    assert "Traceback" not in proxy.process.logged()


def warnings(proxy: ModuleProxy) -> list[str]:
    return [line for line in proxy.process.logged().splitlines() if "traces are not exported" in line]


@pytest.mark.parametrize(
    ("exporter", "url", "line"),
    [
        (
            "otlp",
            "nowhere at all",
            "ATHENS_TRACE_EXPORTER_URL: is no address of a collector; use http://host:4317 for gRPC",
        ),
        ("stackdriver", "a b", "ATHENS_TRACE_EXPORTER_URL: use the id of a Google Cloud project"),
    ],
)
def test_an_address_that_cannot_be_used_stops_the_start(tmp_path: Path, exporter: str, url: str, line: str) -> None:
    environ = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "ATHENS_PORT": "127.0.0.1:0",
        "ATHENS_TRACE_EXPORTER": exporter,
        "ATHENS_TRACE_EXPORTER_URL": url,
    }

    done = subprocess.run(
        [sys.executable, "-m", "athens_proxy"], env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 1
    assert line in done.stderr
    assert "Traceback" not in done.stderr


def test_a_proxy_without_traces_imports_nothing_of_them() -> None:
    code = (
        "import sys, athens_proxy.__main__; print([name for name in sys.modules"
        " if name.split('.')[0] in ('grpc', 'google', 'opentelemetry') or name.startswith('athens_proxy.tracing')])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "[]"
