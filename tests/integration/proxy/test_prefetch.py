"""`athens-proxy prefetch`: what was asked for is there afterwards, and what is not is said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from athens_proxy.checksums.dirhash import mod_hash1
from support import goproxy_server as server
from support.commands import CommandRun, Site
from support.goproxy_server import GoProxyServer
from support.modules_fixture import SampleModule
from support.proxy_process import Settings, running_beside

MODULES = [SampleModule("example.com/m", f"v1.{number}.0") for number in range(3)]
BRANCH = SampleModule("example.com/b", "v0.0.0-20200102030405-abcdefabcdef")
TOOLCHAIN = SampleModule("golang.org/toolchain", "v0.0.1-go1.26.1.linux-arm64", go_mod=b"module golang.org/toolchain\n")
OTHER_SUM = "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY="


@pytest.fixture
async def upstream() -> AsyncIterator[GoProxyServer]:
    async with GoProxyServer([*MODULES, BRANCH, TOOLCHAIN]).running() as running:
        running.files["example.com/b/@v/main.info"] = BRANCH.info
        running.files["example.com/m/@latest"] = MODULES[2].info
        yield running


@pytest.fixture
def site(tmp_path: Path, upstream: GoProxyServer) -> Site:
    return Site(tmp_path / "site", Settings(upstream.url))


async def prefetch(site: Site, *argv: str | Path, **env: str) -> CommandRun:
    return await asyncio.to_thread(site.run, "prefetch", "--json", *argv, env=env)


async def test_everything_named_is_stored_and_asked_of_upstream_once(
    site: Site, upstream: GoProxyServer, tmp_path: Path
) -> None:
    go_sum, listed = tmp_path / "go.sum", tmp_path / "modules"
    go_sum.write_text(f"example.com/m v1.0.0 {OTHER_SUM}\nexample.com/m v1.0.0/go.mod {mod_hash1(MODULES[0].mod)}\n")
    listed.write_text("# tools\n\nexample.com/m@v1.1.0\n")
    argv: list[str | Path] = ["--go-sum", go_sum, "--modules", listed, "example.com/m@latest", "example.com/b@main"]
    toolchain = ["--toolchain", "go1.26.1", "--platform", "linux/arm64"]

    first = (await prefetch(site, *argv, *toolchain)).ok()
    asked = sum(upstream.requests[name] for name in upstream.requests if name.endswith((".zip", ".mod")))
    second = (await prefetch(site, *argv, *toolchain)).ok()

    assert first.stdout.count("\n") == 1
    assert [first.document[name] for name in ("total", "succeeded", "failed", "failures")] == [5, 5, 0, []]
    assert second.document["succeeded"] == 5
    assert sum(upstream.requests[name] for name in upstream.requests if name.endswith((".zip", ".mod"))) == asked
    zips = {path.parent.name for path in site.store.rglob("source.zip")}
    assert zips == {module.version for module in (*MODULES, BRANCH, TOOLCHAIN)}


async def test_a_running_proxy_is_filled_with_the_credentials_of_the_environment(
    site: Site, upstream: GoProxyServer
) -> None:
    settings = Settings(upstream.url, env={"BASIC_AUTH_USER": "team", "BASIC_AUTH_PASS": "secret"})
    async with running_beside(site.folder, settings) as proxy:
        refused = await prefetch(site, "--url", proxy.url, "example.com/m@v1.0.0")
        filled = await prefetch(
            site,
            *("--url", proxy.url, "example.com/m@v1.0.0"),
            ATHENS_PREFETCH_USER="team",
            ATHENS_PREFETCH_PASSWORD="secret",
        )

    assert (refused.code, refused.document["failed"]) == (1, 1)
    assert "401" in refused.document["failures"][0]["reason"]
    assert filled.ok().document["bytes"] == len(MODULES[0].zip)
    assert site.files()["example.com/m/v1.0.0/source.zip"] == MODULES[0].zip


async def test_a_password_can_come_from_a_file_and_never_shows(site: Site, upstream: GoProxyServer) -> None:
    (site.folder / "secrets").mkdir(parents=True)
    (site.folder / "secrets" / "user").write_text("team\n")
    (site.folder / "secrets" / "password").write_text("hunter2\n")
    files = {name: str(site.folder / "secrets" / name.rpartition("_")[2].lower()) for name in ("X_USER", "X_PASSWORD")}
    upstream.faults["*"] = server.status(403, "not for you")

    run = await prefetch(
        site,
        *("--url", upstream.url, "example.com/m@v1.0.0"),
        ATHENS_PREFETCH_USER_FILE=files["X_USER"],
        ATHENS_PREFETCH_PASSWORD_FILE=files["X_PASSWORD"],
    )

    assert (run.code, "not for you" in run.document["failures"][0]["reason"]) == (1, True)
    shown = {headers["Authorization"] for headers in upstream.headers.values()}  # one refusal ends the other requests
    assert shown == {"Basic dGVhbTpodW50ZXIy"}
    assert "hunter2" not in run.stdout + run.stderr


async def test_a_proxy_that_is_still_starting_is_waited_for(site: Site, upstream: GoProxyServer) -> None:
    upstream.faults["example.com/m/@v/v1.0.0.info"] = server.failing_first(2, server.status(503, "starting"))
    upstream.faults["example.com/m/@v/v1.0.0.mod"] = server.failing_first(1, server.drop)

    run = (await prefetch(site, "--url", upstream.url, "example.com/m@v1.0.0")).ok()

    assert run.document["succeeded"] == 1


async def test_a_proxy_that_stays_away_is_a_failure_once_the_patience_ends(site: Site) -> None:
    run = await prefetch(
        site, "--url", "http://127.0.0.1:9", "--retry-for", "0", *map(str, [m.wanted for m in MODULES])
    )

    assert (run.code, run.document["failed"]) == (1, 3)
    assert "connection failed" in run.document["failures"][0]["reason"]


async def test_what_cannot_be_had_is_listed_with_its_reason_and_the_rest_is_there(
    site: Site, upstream: GoProxyServer, tmp_path: Path
) -> None:
    (tmp_path / "go.sum").write_text(f"example.com/m v1.1.0/go.mod {OTHER_SUM}\n")
    upstream.faults["example.com/m/@v/v1.2.0.zip"] = server.body(b"no zip")

    run = await prefetch(
        site,
        *("--go-sum", tmp_path / "go.sum", "example.com/m@v1.0.0", "example.com/m@v1.2.0", "example.com/none@v1.0.0"),
    )

    assert (run.code, run.document["total"], run.document["succeeded"], run.document["failed"]) == (1, 4, 1, 3)
    reasons = {f"{one['module']}@{one['version']}": one["reason"] for one in run.document["failures"]}
    assert "checksum mismatch" in reasons["example.com/m@v1.1.0"]
    assert "invalid module zip" in reasons["example.com/m@v1.2.0"]
    assert "example.com/none" in reasons["example.com/none@v1.0.0"]
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "nothing is asked for"),
        (["--modules", "missing"], "missing: cannot be read"),
        (["example.com/m"], "write MODULE@VERSION"),
        (["Example.com/m@v1.0.0"], "malformed module path"),
        (["example.com/m@v1.0.0/../x"], "disallowed version"),
        (["--toolchain", "1.26"], "--toolchain 1.26: write"),
        (["--toolchain", "go1.26.1", "--platform", "linux"], "--platform linux: write"),
        (["--url", "proxy", "example.com/m@v1.0.0"], '--url: GOPROXY entry "proxy": use http://'),
        (["--url", "http://user:pass@proxy.example.com", "example.com/m@v1.0.0"], "over plain http"),
    ],
)
async def test_what_cannot_be_asked_ends_with_status_2_and_says_why(site: Site, argv: list[str], says: str) -> None:
    run = await prefetch(site, *argv)

    assert (run.code, run.document["total"]) == (2, 0)
    assert says in run.stderr
    assert says in run.document["error"]
    assert "pass@" not in run.stderr


async def test_a_go_sum_that_contradicts_itself_is_refused_with_both_lines(site: Site, tmp_path: Path) -> None:
    go_sum = tmp_path / "go.sum"
    sums = (OTHER_SUM, mod_hash1(b""), mod_hash1(b"module x\n"))
    go_sum.write_text("\n".join(f"example.com/m v1.0.0 {sum_}" for sum_ in (sums[0], sums[0], sums[2])))

    run = await prefetch(site, "--go-sum", go_sum)

    assert run.code == 2
    assert f"{go_sum}:3: example.com/m v1.0.0 has {sums[2]}, but {sums[0]} in line 1" in run.stderr


async def test_many_failures_still_fit_where_kubernetes_reads_the_result(site: Site, upstream: GoProxyServer) -> None:
    upstream.faults["*"] = server.status(404, "not found: " + "x" * 300)
    names = [f"example.com/{'n' * 60}{number}@v1.0.0" for number in range(50)]

    run = await prefetch(site, "--url", upstream.url, *names)

    assert (run.code, run.document["failed"]) == (1, 50)
    assert len(run.stdout) <= 4096
    assert json.loads(run.stdout.splitlines()[-1])["failures"]
