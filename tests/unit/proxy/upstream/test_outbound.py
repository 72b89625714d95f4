"""Forward proxies and private patterns come from the environment as the go command reads them."""

from __future__ import annotations

import asyncio
import socket

import pytest
from yarl import URL

from athens_proxy.errors import UpstreamTimeout
from athens_proxy.upstream.connecting import patience
from athens_proxy.upstream.go_environment import patterns_of, private_globs, unsummed_globs
from athens_proxy.upstream.goproxy import GoProxy
from athens_proxy.upstream.hops import HttpHop
from athens_proxy.upstream.http import HttpLimits, HttpTransport, open_upstream_session
from athens_proxy.upstream.outbound import OutboundProxies
from support.goproxy_server import GoProxyServer
from support.modules_fixture import SampleModule

ENVIRONMENT = {
    "HTTP_PROXY": "p.example.com:3128",
    "https_proxy": "http://s.example.com:1",
    "NO_PROXY": "corp.example.com, 10.0.0.0/8,x.example.com:81",
}


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://a.example.com/x", "http://p.example.com:3128"),
        ("https://a.example.com/x", "http://s.example.com:1"),
        ("https://corp.example.com/x", ""),
        ("https://git.corp.example.com/x", ""),
        ("https://notcorp.example.com/x", "http://s.example.com:1"),
        ("https://10.1.2.3/x", ""),
        ("https://11.1.2.3/x", "http://s.example.com:1"),
        ("http://x.example.com:81/x", ""),
        ("http://x.example.com/x", "http://p.example.com:3128"),
        ("http://127.0.0.1:8080/x", ""),
        ("http://localhost/x", ""),
        ("http://[::1]/x", ""),
    ],
)
def test_each_address_has_its_proxy(url: str, proxy: str) -> None:
    chosen = OutboundProxies.of(ENVIRONMENT).for_url(URL(url))

    assert str(chosen or "").rstrip("/") == proxy


def test_without_variables_nothing_is_proxied() -> None:
    assert OutboundProxies.of({}).for_url(URL("https://a.example.com")) is None


@pytest.mark.parametrize("value", ["socks5://p.example.com", "http://", "http://[", "://"])
def test_a_malformed_address_names_its_variable_only(value: str) -> None:
    with pytest.raises(ValueError, match=r"^HTTPS_PROXY: ") as caught:
        OutboundProxies.of({"HTTPS_PROXY": value})
    assert value not in str(caught.value).removesuffix("http://host:port")


async def test_an_upstream_is_reached_through_its_forward_proxy() -> None:
    module = SampleModule()
    async with GoProxyServer([module]).running() as forward, open_upstream_session() as session:
        outbound = OutboundProxies.of({"HTTP_PROXY": forward.url})
        hop = HttpHop(URL("http://upstream.example.com"))
        proxy = GoProxy(HttpTransport(session, hop, HttpLimits(), outbound=outbound), name=str(hop))

        assert await proxy.versions(module.wanted.path) == ["v1.0.0"]
        assert forward.headers["example.com/m/@v/list"]["Host"] == "upstream.example.com"


async def test_a_forward_proxy_that_never_answers_holds_nobody_up_for_ever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        outbound = OutboundProxies.of({"HTTPS_PROXY": f"http://127.0.0.1:{silent.getsockname()[1]}"})
        hop = HttpHop(URL("https://upstream.example.com"))
        async with open_upstream_session() as session:
            proxy = GoProxy(HttpTransport(session, hop, HttpLimits(connection_s=0.1), outbound=outbound), name=str(hop))
            with pytest.raises(UpstreamTimeout, match="no connection in time; check the network, and HTTPS_PROXY"):
                await proxy.versions(SampleModule().wanted.path)


async def test_the_wait_for_a_connection_is_no_deadline_of_the_answer() -> None:
    async with patience(connection_s=0, answer_s=60) as wait:
        wait.begin()
        wait.connected()
        async with asyncio.TaskGroup() as others:  # whose end is some rounds of the event loop away
            others.create_task(asyncio.to_thread(str))


@pytest.mark.parametrize(
    ("globs", "path", "is_covered"),
    [
        ("", "rsc.io/quote", False),
        ("/", "rsc.io/quote", False),
        ("*/quote", "rsc.io/quote", True),
        ("*/quo??", "rsc.io/quote", True),
        ("*quo*", "rsc.io/quote", False),
        ("rsc.io/", "rsc.io/quote", True),
        ("rsc", "rsc.io/quote", False),
        ("*/quote/*/", "rsc.io/quote/v3", True),
        ("*/v3", "rsc.io/quote/v3", False),
        ("*/*/*,,", "rsc.io/quote", False),
        (" */*/* ,, */quote ", "rsc.io/quote", True),
        ("[]a],rsc.io", "rsc.io/quote", True),
    ],
)
def test_globs_cover_what_go_says(globs: str, path: str, is_covered: bool) -> None:
    assert any(pattern.matches(path) for pattern in patterns_of(globs)) is is_covered


def test_goprivate_is_the_default_of_both_lists() -> None:
    assert private_globs({"GOPRIVATE": "a"}) == unsummed_globs({"GOPRIVATE": "a"}) == "a"
    assert private_globs({"GOPRIVATE": "a", "GONOPROXY": "b"}) == "b"
    assert unsummed_globs({"GOPRIVATE": "a", "GONOSUMDB": "c"}) == "c"
