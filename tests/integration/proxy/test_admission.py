"""Filter file and validator hook in front of everything: over sockets, with a hook that really listens."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from athens_proxy.admission import admission
from athens_proxy.config.load import ConfigFile, load
from athens_proxy.config.sections import Config
from athens_proxy.download.admitted import Admitted
from athens_proxy.errors import CannotStart
from athens_proxy.policy.filter_file import FilterFile
from athens_proxy.policy.validator import ValidatorHook
from athens_proxy.server import Listener, listening
from athens_proxy.upstream.outbound import OutboundProxies
from support.exchange import Answer, ask
from support.modules_fixture import SampleModule
from support.proxy_parts import Proxy, SampleUpstream, download_file, policy

M = SampleModule()
UPPER = SampleModule("github.com/Azure/x")
FILES = ("@v/v1.0.0.info", "@v/v1.0.0.mod", "@v/v1.0.0.zip")
FIVE = ("@v/list", "@latest", *FILES)


@dataclass
class Hook:
    """A validator hook: what it was asked, and what it answers."""

    status: int = 200
    text: str = ""
    location: str = ""
    silent: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append((request.method, request.headers.get("Content-Type", ""), await request.read()))
        if self.status == 0:
            await self.silent.wait()
        headers = {"Location": self.location} if self.location else None
        self.location = ""
        return web.Response(status=self.status, text=self.text, headers=headers)


class AdmittingProxy(Proxy):
    """A proxy with a filter file and a hook."""

    filter_file: FilterFile | None = None
    validator: ValidatorHook | None = None

    def modules(self, mode: object = None) -> Admitted:  # type: ignore[override]
        return Admitted(
            super().modules(mode),  # type: ignore[arg-type]
            filter_file=self.filter_file,
            global_endpoint="https://mirror.example.com/base/",
            validator=self.validator,
        )


@pytest.fixture
def proxy(tmp_path: Path) -> AdmittingProxy:
    return AdmittingProxy(tmp_path / "store", SampleUpstream(tmp_path / "scratch", [M, UPPER]))


@asynccontextmanager
async def hooked(proxy: AdmittingProxy, hook: Hook, *, deadline_s: float = 5.0) -> AsyncIterator[str]:
    """The address of the proxy with this hook."""
    async with (
        aiohttp.ClientSession() as session,
        listening(hook.answer, Listener("127.0.0.1", 0, shutdown_timeout_s=1.0)) as at,
    ):
        url = URL(f"http://127.0.0.1:{at.rpartition(':')[2]}/hook")
        proxy.validator = ValidatorHook(url, session, outbound=OutboundProxies(), deadline_s=deadline_s)
        async with proxy.serving() as address:
            yield address
        hook.silent.set()


async def get(address: str, target: str) -> Answer:
    return await asyncio.to_thread(ask, address, target)


@pytest.mark.parametrize("file", FIVE)
async def test_an_excluded_module_is_refused_on_all_five_endpoints_also_when_stored(
    proxy: AdmittingProxy, tmp_path: Path, file: str
) -> None:
    proxy.filter_file = FilterFile.parse("- example.com/m")
    await proxy.save([M], tmp_path)
    async with proxy.serving() as address:
        answer = await get(address, f"/example.com/m/{file}")

    version = "@v1.0.0" if file in FILES else ""
    assert (answer.status, answer.media_type) == (403, "text/plain")
    assert answer.text == f"denied by the filter file: it excludes example.com/m{version}\n"
    assert not proxy.upstream.asked


@pytest.mark.parametrize("file", FIVE)
async def test_a_direct_module_is_sent_to_the_global_endpoint_whatever_the_policy_says(
    proxy: AdmittingProxy, file: str
) -> None:
    proxy.filter_file, proxy.policy = FilterFile.parse("D github.com/Azure"), policy("none")
    async with proxy.serving() as address:
        answer = await get(address, f"/github.com/!azure/x/{file}?go-get=1")

    assert answer.status == 303
    assert answer.headers["location"] == f"https://mirror.example.com/base/github.com/!azure/x/{file}"


async def test_versions_of_rules_count_for_files_and_not_for_lists(proxy: AdmittingProxy) -> None:
    proxy.filter_file = FilterFile.parse("-\n+ example.com/m v2")
    async with proxy.serving() as address:
        assert (await get(address, "/example.com/m/@v/list")).status == 200
        assert (await get(address, "/example.com/m/@v/v1.0.0.mod")).status == 403


async def test_a_query_that_means_an_excluded_version_is_refused(proxy: AdmittingProxy) -> None:
    proxy.filter_file = FilterFile.parse("- example.com/m v1")
    proxy.upstream.queries = {"example.com/m@main": "v1.0.0"}
    async with proxy.serving() as address:
        assert (await get(address, "/example.com/m/@v/main.info")).status == 403


async def test_the_hook_hears_athens_question_for_files_alone(proxy: AdmittingProxy) -> None:
    hook = Hook()
    async with hooked(proxy, hook) as address:
        statuses = [(await get(address, f"/github.com/!azure/x/{file}")).status for file in FIVE]

    assert statuses == [200] * 5
    question = b'{"Module":"github.com/Azure/x","Version":"v1.0.0"}'
    assert hook.asked == [("POST", "application/json", question)] * 3


async def test_the_hook_is_asked_about_stored_files_every_time(proxy: AdmittingProxy, tmp_path: Path) -> None:
    await proxy.save([M], tmp_path)
    hook = Hook()
    async with hooked(proxy, hook) as address:
        await get(address, "/example.com/m/@v/v1.0.0.mod")
        hook.status, hook.text = 403, "licence AGPL\nis not allowed"
        refused = await get(address, "/example.com/m/@v/v1.0.0.mod")

    assert (refused.status, refused.media_type) == (403, "text/plain")
    assert refused.text == "denied by the validator hook: licence AGPL is not allowed\n"
    assert len(hook.asked) == 2


async def test_a_query_reaches_the_hook_as_it_was_asked_and_then_as_what_it_means(proxy: AdmittingProxy) -> None:
    proxy.upstream.queries = {"example.com/m@main": "v1.0.0"}
    hook = Hook()
    async with hooked(proxy, hook) as address:
        assert (await get(address, "/example.com/m/@v/main.info")).status == 200

    assert [json.loads(body)["Version"] for _, _, body in hook.asked] == ["main", "v1.0.0"]


@pytest.mark.parametrize("status", [201, 301, 400, 404, 410, 500])
async def test_any_other_answer_of_the_hook_is_a_failure_that_says_so(proxy: AdmittingProxy, status: int) -> None:
    async with hooked(proxy, Hook(status)) as address:
        answer = await get(address, "/example.com/m/@v/v1.0.0.zip")

    assert answer.status == 500
    assert answer.text.startswith("asking the validator hook at 127.0.0.1 about example.com/m@v1.0.0: it answered ")
    assert not proxy.upstream.asked


async def test_redirects_of_the_hook_are_followed(proxy: AdmittingProxy) -> None:
    hook = Hook(200, location="/elsewhere")
    hook.status = 307
    async with hooked(proxy, hook) as address:
        asking = asyncio.create_task(get(address, "/example.com/m/@v/v1.0.0.mod"))
        answer = await asking

    assert [method for method, _, _ in hook.asked] == ["POST", "POST"]
    assert answer.status == 500  # the second answer is 307 once more, now without an address


async def test_a_silent_hook_fails_in_time(proxy: AdmittingProxy) -> None:
    async with hooked(proxy, Hook(0), deadline_s=0.2) as address:
        answer = await get(address, "/example.com/m/@v/v1.0.0.mod")

    assert answer.status == 500
    assert "no answer within 0.2 s; see to the hook" in answer.text


async def test_a_hook_that_is_not_there_is_a_failure(proxy: AdmittingProxy) -> None:
    async with hooked(proxy, Hook()):
        pass
    async with aiohttp.ClientSession() as session:
        gone = URL("http://127.0.0.1:1/hook?token=secret")
        proxy.validator = ValidatorHook(gone, session, outbound=OutboundProxies())
        async with proxy.serving() as address:
            answer = await get(address, "/example.com/m/@v/v1.0.0.mod")

    assert answer.status == 500
    assert "asking the validator hook at 127.0.0.1 about example.com/m@v1.0.0: it cannot be reached" in answer.text
    assert "secret" not in answer.text


async def test_the_filter_comes_before_the_hook_and_the_hook_before_the_policy(proxy: AdmittingProxy) -> None:
    hook = Hook(403, "no")
    proxy.policy = policy(download_file('download "*" {\n  mode = "deny"\n}'))
    async with hooked(proxy, hook) as address:
        by_hook = await get(address, "/example.com/m/@v/v1.0.0.mod")
        hook.status = 200
        by_policy = await get(address, "/example.com/m/@v/v1.0.0.mod")
    asked = len(hook.asked)
    proxy.filter_file = FilterFile.parse("- example.com")
    async with hooked(proxy, hook) as address:
        by_filter = await get(address, "/example.com/m/@v/v1.0.0.mod")

    assert [answer.text.partition(":")[0] for answer in (by_hook, by_policy, by_filter)] == [
        "denied by the validator hook",
        "denied by the download policy",
        "denied by the filter file",
    ]
    assert len(hook.asked) == asked


def settings(toml: str) -> Config:
    return load(["-config_file=c.toml"], {}, lambda _: ConfigFile(toml, 0o644))


async def test_both_settings_are_announced_as_deprecated_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "filter").write_text("- a.b/c")
    config = settings(f'FilterFile = "{tmp_path / "filter"}"\nValidatorHook = "https://hook.example.com/x"')
    with caplog.at_level(logging.WARNING):
        async with aiohttp.ClientSession() as session:
            admission(config, {}, session)

    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["FilterFile", "ValidatorHook"]
    assert all("deprecated; use DownloadMode with a download file" in line for line in caplog.messages)


@pytest.mark.parametrize(
    ("content", "mode", "go_env", "message"),
    [
        (None, 0o644, "development", "cannot be read: No such file or directory"),
        (b"x y", 0o644, "development", "Invalid configuration found in filter file at the line 1"),
        (b"\xff", 0o644, "development", "cannot be read: it is not UTF-8 text"),
        (b"-", 0o666, "production", "others than its owner may write or execute"),
    ],
)
async def test_a_filter_file_that_cannot_be_used_ends_the_start(
    tmp_path: Path, content: bytes | None, mode: int, go_env: str, message: str
) -> None:
    path = tmp_path / "filter"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    config = settings(f'GoEnv = "{go_env}"\nFilterFile = "{path}"')
    async with aiohttp.ClientSession() as session:
        with pytest.raises(CannotStart, match=f"^FilterFile: .*{message}"):
            admission(config, {}, session)
