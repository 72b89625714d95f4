"""A host that asks to be left alone is left alone, by every request to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from yarl import URL

from athens_proxy.errors import UpstreamThrottled
from athens_proxy.modules import ModulePath
from athens_proxy.upstream.file import FileTransport
from athens_proxy.upstream.goproxy import GoProxy
from athens_proxy.upstream.hops import HttpHop
from athens_proxy.upstream.http import open_upstream_session
from athens_proxy.upstream.sources import Sources
from athens_proxy.upstream.throttle import MAX_HOLD_S, Throttle
from support import goproxy_server as server
from support.goproxy_server import GoProxyServer

HOST = URL("https://proxy.example.com/base/list")
OTHER = URL("https://other.example.com/list")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def throttled(seconds: int | None) -> UpstreamThrottled:
    return UpstreamThrottled("slow down", retry_after_s=seconds)


def test_a_host_is_refused_until_its_time_is_over_and_others_are_not() -> None:
    clock = Clock()
    throttle = Throttle(clock=clock)
    throttle.hold(HOST, throttled(20))
    clock.now += 5.5

    with pytest.raises(UpstreamThrottled, match="ask again in 15 s") as caught:
        throttle.refuse(HOST.with_path("/another"), "reading x")
    throttle.refuse(OTHER, "reading x")
    clock.now += 14.5
    throttle.refuse(HOST, "reading x")

    assert caught.value.retry_after_s == 15


def test_a_host_that_names_no_time_is_not_held() -> None:
    throttle = Throttle()
    throttle.hold(HOST, throttled(None))

    throttle.refuse(HOST, "reading x")


def test_nobody_is_held_for_longer_than_the_limit() -> None:
    clock = Clock()
    throttle = Throttle(clock=clock)
    throttle.hold(HOST, throttled(86_400))
    clock.now += MAX_HOLD_S

    throttle.refuse(HOST, "reading x")


async def test_after_a_429_no_request_for_any_file_reaches_the_host(tmp_path: Path) -> None:
    async with open_upstream_session() as session, GoProxyServer().running() as upstream:
        upstream.faults["*"] = server.status(429, headers={"Retry-After": "60"})
        sources = Sources(session, direct=GoProxy(FileTransport(tmp_path), name="unused"))
        for name in ("a", "b", "c"):
            with pytest.raises(UpstreamThrottled):
                await sources.of(HttpHop(URL(upstream.url))).versions(ModulePath.parse(f"example.com/{name}"))

        assert upstream.requests.total() == 1
