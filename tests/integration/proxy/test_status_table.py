"""What goes wrong at an upstream proxy: each has its status, `go` prints why, and nothing is stored.

Each row is a module of its own, so that one proxy serves them all; the order of the rows means nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from support.authority import Authority
from support.failed_fetch import downloaded, held
from support.go_client import GoClient
from support.goproxy_server import (
    Fault,
    GoProxyServer,
    body,
    drip,
    drop,
    hang,
    redirect,
    redirect_loop,
    stall,
    status,
    truncate,
)
from support.modules_fixture import SampleModule, zip_bytes
from support.proxy_process import ModuleProxy, Settings, running_beside

NOT_FOUND, DENIED, THROTTLED = "404 Not Found", "403 Forbidden", "429 Too Many Requests"
BAD_GATEWAY, TIMED_OUT = "502 Bad Gateway", "504 Gateway Timeout"


@dataclass(frozen=True)
class Row:
    """One cause and what it looks like.

    Attributes:
        name: the last element of the module's path.
        says: status and reason phrase as `go` prints them.
        text: a part of the line that `go` prints as the server's response.
        fault: what the upstream does.
        at: which files it does it to: an extension, or "" for every file of the module.
        upstream: the key of another upstream than the plain one.
    """

    name: str
    says: str
    text: str
    fault: Fault | None = None
    at: str = ""
    upstream: str = ""

    @property
    def module(self) -> SampleModule:
        """The version that is asked for."""
        return SampleModule(f"example.com/{self.name}", "v1.0.0")


OTHER = SampleModule("example.com/other", "v1.0.0")
WRONG_VERSION = b'{"Version":"v1.0.1","Time":"2020-01-02T03:04:05Z"}'
GARBLED = OTHER.zip[:-30] + bytes(30)
ESCAPING = zip_bytes([("example.com/escaping@v1.0.0/../../go.mod", b"module example.com/escaping\n")])

ROWS = [
    Row("absent", NOT_FOUND, "not found: no such module", status(404, "no such module")),
    Row("gone", NOT_FOUND, "not found: ", status(410, "gone")),
    Row("mode-none", NOT_FOUND, "not found: "),
    Row("denied", DENIED, "denied by no-denied: not allowed here"),
    Row("filtered", DENIED, "filter"),
    Row("upstream-403", DENIED, "the mirror says no", status(403, "the mirror says no")),
    Row("wrong-password", BAD_GATEWAY, "check the credential", status(401, "wrong"), upstream="credential"),
    Row("no-password", BAD_GATEWAY, "check the credential", status(401, "who are you"), upstream="trusted"),
    Row("untrusted", BAD_GATEWAY, "certificate", upstream="untrusted"),
    Row("no-tls", BAD_GATEWAY, "TLS", upstream="no-tls"),
    Row("bad-json", BAD_GATEWAY, "bad answer", body(b'{"Version":'), ".info"),
    Row("html", BAD_GATEWAY, "bad answer", body(b"<html>log in</html>", content_type="text/html"), ".info"),
    Row("wrong-version", BAD_GATEWAY, 'answered info for version "v1.0.1" instead', body(WRONG_VERSION), ".info"),
    Row("bad-mod", BAD_GATEWAY, "a go.mod without a module directive", body(b"<html>log in</html>"), ".mod"),
    Row("redirect-loop", BAD_GATEWAY, "stopped after 10 redirects", redirect_loop),
    Row("redirect-file", BAD_GATEWAY, "not http or https", redirect("file:///etc/passwd")),
    Row("truncated-mod", BAD_GATEWAY, ".mod", truncate, ".mod"),
    Row("truncated-zip", BAD_GATEWAY, ".zip", truncate, ".zip"),
    Row("corrupt-zip", BAD_GATEWAY, "zip", body(GARBLED), ".zip"),
    Row("foreign-zip", BAD_GATEWAY, "example.com/foreign-zip@v1.0.0", body(OTHER.zip), ".zip"),
    Row("escaping", BAD_GATEWAY, "example.com/escaping@v1.0.0", body(ESCAPING), ".zip"),
    Row("empty-zip", BAD_GATEWAY, "zip", body(b""), ".zip"),
    Row("status-500", BAD_GATEWAY, "500", status(500, "broken")),
    Row("status-503", BAD_GATEWAY, "503", status(503, "broken")),
    Row("dropped", BAD_GATEWAY, "example.com/dropped/@v/v1.0.0.", drop),
    Row("refused", BAD_GATEWAY, "example.com/refused/@v/v1.0.0.", upstream="refused"),
    Row("throttled", THROTTLED, "429", status(429, "slow down", headers={"Retry-After": "17"}), upstream="throttled"),
    Row("hanging", TIMED_OUT, "example.com/hanging/@v/v1.0.0.", hang, upstream="impatient"),
    Row("stalled-zip", TIMED_OUT, "example.com/stalled-zip/@v/v1.0.0.zip", stall, ".zip", upstream="impatient"),
]
DRIPPING = SampleModule("example.com/dripping", "v1.0.0")
DOWNLOAD_FILE = """\
mode        = "sync"
downloadURL = ""
download "example.com/denied" {
  mode   = "deny"
  name   = "no-denied"
  reason = "not allowed here"
}
download "example.com/mode-none" {
  mode = "none"
}
"""


@dataclass(frozen=True)
class Table:
    """A proxy that all rows are asked of, and one that waits only a moment."""

    patient: ModuleProxy
    impatient: ModuleProxy

    def of(self, row: Row) -> ModuleProxy:
        """The proxy for one row."""
        return self.impatient if row.upstream == "impatient" else self.patient


def upstream_of_rows() -> GoProxyServer:
    """Serves the module of every row, in the row's way."""
    server = GoProxyServer([*(row.module for row in ROWS), DRIPPING])
    for row in ROWS:
        base = f"{row.module.path}/@v/v1.0.0"
        for path in [base + row.at] if row.at else [base + suffix for suffix in (".info", ".mod", ".zip")]:
            if row.fault is not None:
                server.faults[path] = row.fault
    server.faults[f"{DRIPPING.path}/@v/v1.0.0.zip"] = drip(chunk_bytes=len(DRIPPING.zip) // 12, pause_s=0.25)
    return server


def download_file(upstreams: dict[str, str]) -> str:
    """The policy of the patient proxy; rows with an upstream of their own are sent there."""
    blocks = [
        f'download "{row.module.path}" {{\n  mode     = "sync"\n  upstream = "{upstreams[row.upstream]}"\n}}\n'
        for row in ROWS
        if row.upstream in upstreams
    ]
    return DOWNLOAD_FILE + "".join(blocks)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def table(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Table]:
    """The proxies and the upstreams behind them."""
    folder = tmp_path_factory.mktemp("status-table")
    (folder / "stranger").mkdir()
    stranger = Authority.made(folder / "stranger")
    (folder / "filter").write_text("- example.com/filtered\n")
    async with AsyncExitStack() as stack:
        plain = await stack.enter_async_context(upstream_of_rows().running())
        trusted = await stack.enter_async_context(upstream_of_rows().running(tls=authority.serving()))
        untrusted = await stack.enter_async_context(upstream_of_rows().running(tls=stranger.serving()))
        upstreams = {
            "trusted": trusted.url,
            "credential": trusted.url.replace("https://", "https://reader:s3cret@"),
            "untrusted": untrusted.url,
            "no-tls": plain.url.replace("http://", "https://"),
            "refused": "http://127.0.0.1:9",
            "throttled": plain.url.replace("127.0.0.1", "localhost"),  # a host that alone is left alone
        }
        (folder / "download.hcl").write_text(download_file(upstreams))
        patient = Settings(
            plain.url,
            env={
                "ATHENS_DOWNLOAD_MODE": f"file:{folder / 'download.hcl'}",
                "ATHENS_FILTER_FILE": str(folder / "filter"),
                "SSL_CERT_FILE": str(authority.ca_file),
            },
        )
        impatient = Settings(plain.url, env={"ATHENS_STASH_TIMEOUT": "2", "ATHENS_TIMEOUT": "2"})
        yield Table(
            await stack.enter_async_context(running_beside(folder / "patient", patient)),
            await stack.enter_async_context(running_beside(folder / "impatient", impatient)),
        )


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_failure_has_its_status_and_its_text_reaches_the_user_and_nothing_is_stored(
    row: Row, table: Table, tmp_path: Path
) -> None:
    proxy = table.of(row)

    code, error = await downloaded(GoClient(tmp_path, proxy.url), row.module)
    answer = await asyncio.to_thread(proxy.ask, f"/{row.module.path}/@v/v1.0.0.zip")

    status_line, _, response = error.partition("server response:")
    assert code != 0
    assert row.says in status_line, error
    assert row.text in response, error
    assert (answer.status, answer.media_type) == (int(row.says[:3]), "text/plain")
    assert row.text in answer.text
    assert answer.text.strip("\n").isprintable()
    assert ("(request " in answer.text) == (answer.status >= 500)
    assert await held(proxy.store, row.module) == []


@pytest.mark.asyncio(loop_scope="module")
async def test_throttling_tells_the_client_when_to_come_back(table: Table) -> None:
    row = next(row for row in ROWS if row.upstream == "throttled")

    answer = await asyncio.to_thread(table.patient.ask, f"/{row.module.path}/@v/v1.0.0.zip")

    assert 1 <= int(answer.headers["retry-after"]) <= 17


@pytest.mark.asyncio(loop_scope="module")
async def test_a_body_that_drips_for_longer_than_the_time_out_is_no_failure(table: Table, tmp_path: Path) -> None:
    code, error = await downloaded(GoClient(tmp_path, table.impatient.url), DRIPPING)

    assert (code, error) == (0, "")
    assert await held(table.impatient.store, DRIPPING) != []
