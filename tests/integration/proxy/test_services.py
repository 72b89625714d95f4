"""What the proxy answers besides modules: the home page, the settings, forms of the catalogue and the index, robots."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import os
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import pytest

from athens_proxy.web.access import Access
from support.exchange import Answer, ask, basic_auth
from support.modules_fixture import SampleModule, write_file_proxy
from support.proxy_parts import Proxy, SampleUpstream
from support.proxy_process import Settings, running

M = SampleModule()
NEWER = SampleModule(version="v1.1.0")


@pytest.fixture
def proxy(tmp_path: Path) -> Proxy:
    return Proxy(tmp_path / "store", SampleUpstream(tmp_path / "scratch", [M, NEWER]))


@pytest.fixture
async def address(proxy: Proxy) -> AsyncIterator[str]:
    async with proxy.serving() as address:
        yield address


async def get(address: str, target: str, **headers: str) -> Answer:
    return await asyncio.to_thread(ask, address, target, headers={k.replace("_", "-"): v for k, v in headers.items()})


async def post(address: str, target: str, body: bytes, content_type: str) -> Answer:
    def call() -> Answer:
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=20)
        try:
            connection.request("POST", target, body, {"Content-Type": content_type})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    return await asyncio.to_thread(call)


FORM = "application/x-www-form-urlencoded"


class Outline(HTMLParser):
    """The elements of a page, checked for nesting."""

    VOID = frozenset({"meta"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def test_the_page_says_how_to_use_the_proxy(proxy: Proxy) -> None:
    proxy.access, proxy.no_sum_patterns = Access(prefix="/go"), ("corp.example.com/*", "x.example.com")
    async with proxy.serving() as address:
        await get(address, "/go/example.com/m/@v/v1.0.0.mod")
        await get(address, "/go/example.com/m/@v/v1.0.0.mod")
        page = await get(address, "/go/", Host="proxy.example.com:8443", X_Forwarded_Proto="https")

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "go env -w GOPROXY=https://proxy.example.com:8443/go<" in page.text
    assert "go env -w GONOSUMDB=corp.example.com/*,x.example.com<" in page.text
    assert '<a href="/go/catalog">' in page.text
    assert proxy.policy.loaded.digest in page.text
    assert "<dt>Files served from the store since the start</dt><dd>1</dd>" in page.text
    assert "<dt>Files that were not stored yet</dt><dd>1</dd>" in page.text


async def test_the_page_is_well_formed_and_accessible(address: str) -> None:
    outline = Outline((await get(address, "/")).text)
    tags = [tag for tag, _ in outline.seen]

    assert outline.open == []
    assert ("html", {"lang": "en"}) in outline.seen
    assert (tags.count("title"), tags.count("main"), tags.count("h1")) == (1, 1, 1)
    assert all(attributes.get("tabindex") == "0" for tag, attributes in outline.seen if tag == "pre")


async def test_a_host_header_cannot_bring_markup_into_the_page(address: str) -> None:
    page = await get(address, "/", Host="<script>alert(1)</script>")

    assert "<script>" not in page.text


async def test_a_template_replaces_the_page_and_is_read_again_when_it_changes(proxy: Proxy, address: str) -> None:
    template = proxy.root / "home.html"
    template.write_text("<p>{{ .Host }}{{ if .NoSumPatterns }}!{{ end }}</p>")
    first = await get(address, "/", Host="a.example.com")
    template.write_text("<b>{{ .Host }}</b>")
    second = await get(address, "/", Host="a<.example.com")
    template.unlink()
    third = await get(address, "/")

    assert (first.status, first.text) == (200, "<p>http://a.example.com</p>")
    assert second.text in ("<b>http://a&lt;.example.com</b>", "")
    assert "go env -w GOPROXY=" in third.text


@pytest.mark.parametrize("content", [b"{{ if .Host }}", b"\xff\xfe", None])
async def test_a_broken_template_leaves_the_built_in_page_and_one_line(
    proxy: Proxy, address: str, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    template = proxy.root / "home.html"
    template.mkdir() if content is None else template.write_bytes(content)
    with caplog.at_level(logging.ERROR):
        pages = [await get(address, "/") for _ in range(3)]

    assert [page.status for page in pages] == [200] * 3
    assert "go env -w GOPROXY=" in pages[0].text
    assert len([line for line in caplog.messages if line.startswith(f"HomeTemplatePath: {template} cannot be")]) == 1


def test_the_settings_are_shown_with_their_source_and_without_secrets(tmp_path: Path) -> None:
    upstream = write_file_proxy(tmp_path / "upstream", [M])
    env = {
        "BASIC_AUTH_USER": "user",
        "BASIC_AUTH_PASS": "hunter2",
        "ATHENS_GITHUB_TOKEN": "ghp_secret",
        "ATHENS_STORAGE_OWNER": "team-a",
        "ATHENS_PROXY_VALIDATOR": "http://u:hidden@127.0.0.1:1/hook?token=hidden",
        "ATHENS_GO_BINARY_ENV_VARS": f"GOPROXY=file://{upstream},https://me:hidden@p.example.com|direct;PASS=hidden",
    }
    with running(tmp_path / "proxy", Settings("", env=env, toml='LogLevel = "warn"\n[storage.DISK]\n')) as proxy:
        stranger = proxy.ask("/-/config")
        answer = proxy.ask("/-/config", headers=basic_auth("user", "hunter2"))
        private = list((tmp_path / "proxy" / "tmp").glob("athens-home-*/.netrc"))
        assert [(path.read_text(), path.stat().st_mode & 0o777) for path in private] == [
            ("machine github.com login ghp_secret\n", 0o600)
        ]

    store = json.loads(answer.body)["store"]
    assert (store["owner"], store["otherOwners"]) == ("team-a", [])
    settings = {entry["key"]: entry for entry in json.loads(answer.body)["settings"]}
    assert (stranger.status, answer.media_type) == (401, "application/json")
    assert not [word for word in ("hunter2", "ghp_secret", "hidden") if word in answer.text]
    assert settings["LogLevel"] == {
        "key": "LogLevel",
        "value": "warn",
        "source": "file",
        "from": "LogLevel",
        "environment": ["ATHENS_ATHENS_LOG_LEVEL", "ATHENS_LOG_LEVEL"],
    }
    assert (settings["BasicAuthPass"]["value"], settings["BasicAuthPass"]["from"]) == ("********", "BASIC_AUTH_PASS")
    assert (settings["Timeout"]["value"], settings["Timeout"]["source"]) == (300, "default")
    assert settings["GoBinaryEnvVars"]["value"] == [
        f"GOPROXY=file://{upstream},https://********@p.example.com|direct",
        "PASS=********",
    ]
    assert settings["ValidatorHook"]["value"] == "http://********@127.0.0.1:1/hook?********"
    assert not os.listdir(tmp_path / "proxy" / "home")
    assert not list((tmp_path / "proxy" / "tmp").glob("athens-home-*"))


async def test_the_catalogue_takes_its_parameters_from_a_form_which_wins(
    proxy: Proxy, address: str, tmp_path: Path
) -> None:
    await proxy.save([M, NEWER], tmp_path)
    form = urlencode({"pagesize": "1", "token": "example.com/m|v1.0.0"}).encode()

    page = await post(address, "/catalog?pagesize=2&token=", form, FORM)
    ignored = await post(address, "/catalog?pagesize=1", b'{"pagesize": 2}', "application/json")

    assert page.text == '{"modules":[{"module":"example.com/m","version":"v1.1.0"}]}\n'
    assert len(json.loads(ignored.body)["modules"]) == 1


@pytest.mark.parametrize(
    ("pagesize", "status", "entries"),
    [("", 200, 2), ("+1", 200, 1), ("0", 200, 2), ("-5", 200, 2), ("x", 400, 0), ("1.5", 400, 0), ("1_0", 400, 0),
     ("9223372036854775807", 200, 2), ("9223372036854775808", 400, 0), ("\u0661", 400, 0)],
)  # fmt: skip
async def test_a_page_size_is_what_go_calls_an_integer(
    proxy: Proxy, address: str, tmp_path: Path, pagesize: str, status: int, entries: int
) -> None:
    await proxy.save([M, NEWER], tmp_path)

    answer = await get(address, f"/catalog?{urlencode({'pagesize': pagesize})}")

    assert answer.status == status
    if status == 200:
        assert len(json.loads(answer.body)["modules"]) == entries
    else:
        assert answer.text == "bad request: pagesize must be an integer\n"


@pytest.mark.parametrize("target", ["/catalog", "/index"])
@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"limit=1&x=" + b"y" * 1024 * 1024, "the form is larger than 1048576 bytes"),
        (b"limit=\xff", "the form in the body cannot be read"),
        (b"&".join([b"a=1"] * 200), "the form in the body cannot be read"),
    ],
)
async def test_a_form_that_cannot_be_read_is_the_clients_mistake(
    address: str, target: str, body: bytes, why: str
) -> None:
    answer = await post(address, target, body, FORM)

    assert (answer.status, answer.text) == (400, f"bad request: {why}\n")


async def test_the_index_takes_a_form_too(address: str) -> None:
    good, bad = await post(address, "/index", b"limit=5", FORM), await post(address, "/index", b"limit=0", FORM)

    assert (good.status, good.text) == (200, "")
    assert (bad.status, bad.text) == (400, "bad request: limit must be an integer above 0\n")


@pytest.mark.parametrize("target", ["/catalog", "/index"])
async def test_services_with_forms_say_which_methods_they_take(address: str, target: str) -> None:
    answer = await asyncio.to_thread(ask, address, target, method="PUT")

    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")


async def test_robots_are_told_what_the_file_says_now(proxy: Proxy, address: str) -> None:
    absent = await get(address, "/robots.txt")
    (proxy.root / "robots.txt").write_text("User-agent: *\nDisallow: /\n")
    present = await get(address, "/robots.txt")

    assert (absent.status, absent.media_type) == (404, "text/plain")
    assert (present.status, present.text) == (200, "User-agent: *\nDisallow: /\n")
