"""Asking and nudging pods: who is asked when, and what for, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from athens_operator.manifests import Manifest
from athens_operator.readback import LISTEN_EVERY_S, HttpPodReader, Listener, Target, address_of, told_in
from athens_operator.status_observed import Readback
from support.virtual_time import in_virtual_time

OLD, NEW = "sha256:old", "sha256:new"


def pod(name: str, *, phase: str = "Running", ip: str = "10.0.0.1", **metadata: Any) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "a", "name": name, "uid": f"uid-{name}", **metadata},
        "spec": {"containers": [{"name": "athens", "ports": [{"name": "http", "containerPort": 3000}]}]},
        "status": {"phase": phase, "podIP": ip},
    }


class ScriptedReader:
    """Answers what the test says, and remembers who was asked."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        self.asked: list[str] = []

    async def read(self, pod: Manifest, target: Target) -> Readback:
        self.asked.append(pod["metadata"]["name"])
        return Readback(self.digest)


def test_a_pod_that_enforces_the_wanted_policy_is_not_asked_again_until_the_resync() -> None:
    async def main() -> None:
        reader = ScriptedReader(NEW)
        listener = Listener(reader)
        for _ in range(4):
            await listener.listen([pod("one")], Target(NEW))
        answers = await listener.listen([pod("one")], Target(NEW))
        assert answers == {"one": Readback(NEW)}
        assert reader.asked == ["one"]

        await asyncio.sleep(LISTEN_EVERY_S + 1)
        await listener.listen([pod("one")], Target(NEW))

        assert reader.asked == ["one", "one"]

    in_virtual_time(main())


def test_a_pod_behind_is_asked_in_every_pass() -> None:
    async def main() -> None:
        reader = ScriptedReader(OLD)
        listener = Listener(reader)
        for _ in range(3):
            await listener.listen([pod("one")], Target(NEW))

        assert len(reader.asked) == 3

    in_virtual_time(main())


def test_pods_that_cannot_answer_are_left_out() -> None:
    async def main() -> None:
        reader = ScriptedReader(NEW)
        pods = [pod("pending", phase="Pending"), pod("new", ip=""), pod("ending", deletionTimestamp="2026-01-01")]

        assert await Listener(reader).listen(pods, Target(NEW)) == {}
        assert reader.asked == []

    in_virtual_time(main())


def test_only_pods_that_reported_another_digest_are_nudged_and_only_once_in_a_while() -> None:
    async def main() -> None:
        listener = Listener(ScriptedReader(OLD))
        pods = [pod("one")]
        assert listener.touches(pods, NEW) == []  # never heard: it may have started with the new file

        await listener.listen(pods, Target(NEW))
        assert [value for _, value in listener.touches(pods, NEW)] == [NEW]
        assert listener.touches(pods, NEW) == []

        await asyncio.sleep(31)
        assert [value for _, value in listener.touches(pods, NEW)] == [f"{NEW}#2"]

    in_virtual_time(main())


def test_a_newer_policy_nudges_at_once_without_asking_first() -> None:
    async def main() -> None:
        listener = Listener(ScriptedReader(OLD))
        await listener.listen([pod("one")], Target(OLD))

        assert [value for _, value in listener.touches([pod("one")], NEW)] == [NEW]

    in_virtual_time(main())


def test_a_pod_that_is_gone_is_forgotten() -> None:
    async def main() -> None:
        reader = ScriptedReader(NEW)
        listener = Listener(reader)
        await listener.listen([pod("one")], Target(NEW))
        listener.forget("uid-one")
        await listener.listen([pod("one")], Target(NEW))

        assert len(reader.asked) == 2

    in_virtual_time(main())


def test_addresses_follow_the_port_name_and_ip_family() -> None:
    secure = pod("one", ip="fd00::1")
    secure["spec"]["containers"][0]["ports"] = [{"name": "https", "containerPort": 3000}]

    assert address_of(pod("one")) == "http://10.0.0.1:3000"
    assert address_of(secure) == "https://[fd00::1]:3000"


def guarded_proxy(prefix: str) -> web.Application:
    """A proxy that keeps an old file because it refuses the new one, and tells so to its clients only."""

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(headers={"Athens-Policy-Digest": OLD})

    async def policy(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != aiohttp.encode_basic_auth("ann", "pä:ss"):
            return web.Response(status=401)
        return web.json_response({"lastError": {"message": "line 4: no", "digest": NEW}})

    app = web.Application()
    app.add_routes([web.get("/readyz", readyz), web.get(f"{prefix}/-/policy", policy)])
    return app


@pytest.mark.parametrize("prefix", ["", "/go"])
async def test_a_proxy_with_a_login_and_a_prefix_is_asked_why_it_refuses_a_file(prefix: str) -> None:
    async with TestServer(guarded_proxy(prefix)) as server, aiohttp.ClientSession() as session:
        asked = pod("one", ip="127.0.0.1")
        asked["spec"]["containers"][0]["ports"][0]["containerPort"] = server.port
        reader = HttpPodReader(session)

        assert await reader.read(asked, Target(NEW, prefix, ("ann", "pä:ss"))) == Readback(OLD, "line 4: no", NEW)
        assert await reader.read(asked, Target(NEW, prefix)) == Readback(OLD)


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([b'{"credentials": [', b"1]", b"}"], {"credentials": [1]}),
        ([b"[1]"], {}),
        ([b"["] * 5000, {}),
        ([b'{"a": "', *[b"x" * 65536] * 17, b'"}'], {}),
        ([], {}),
    ],
    ids=["in parts", "another thing", "deep", "endless", "empty"],
)
async def test_an_answer_is_read_as_a_whole_or_not_at_all(parts: list[bytes], told: dict[str, Any]) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for part in parts:
            await response.write(part)
            await asyncio.sleep(0)
        return response

    app = web.Application()
    app.add_routes([web.get("/", answer)])
    async with TestServer(app) as server, aiohttp.ClientSession() as session, session.get(server.make_url("/")) as got:
        assert await told_in(got) == told
