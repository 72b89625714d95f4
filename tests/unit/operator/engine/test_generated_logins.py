"""The Secret of `auth.basic.generate`: made once, random, never written over, and owned as the spec says."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from athens_operator.cluster import Forbidden
from athens_operator.desired.prefetch import prefetch_job
from athens_operator.generated_logins import GeneratedLogins
from athens_operator.manifests import Manifest
from athens_operator.resources import SECRETS
from athens_operator.spec import AthensProxy
from support.fake_cluster import FakeCluster
from support.operator_values import INPUTS, proxy_value

GENERATE: dict[str, Any] = {"auth": {"basic": {"generate": True}}}
REF = SECRETS.ref("team-a", "go-auth")


async def made(cluster: FakeCluster, proxy: AthensProxy, *, allowed: bool = True, readable: bool = True) -> None:
    await GeneratedLogins(cluster, allowed=allowed, readable=readable).ensure(proxy, INPUTS)


def login(secret: Manifest) -> tuple[str, str]:
    user, password = (base64.b64decode(secret["data"][key]).decode() for key in ("username", "password"))
    return user, password


async def test_a_login_is_made_once_and_never_written_over() -> None:
    cluster = FakeCluster()
    await made(cluster, proxy_value(GENERATE))
    first = await cluster.get(REF)
    for readable in (True, False):
        await made(cluster, proxy_value(GENERATE), readable=readable)

    assert first["type"] == "kubernetes.io/basic-auth"
    assert login(await cluster.get(REF)) == login(first)
    assert login(first)[0] == "go"
    assert len(login(first)[1]) >= 32


async def test_two_proxies_never_have_one_password() -> None:
    one, other = FakeCluster(), FakeCluster()
    await made(one, proxy_value(GENERATE))
    await made(other, proxy_value(GENERATE))

    assert login(await one.get(REF)) != login(await other.get(REF))


async def test_a_secret_of_somebody_else_is_used_as_it_is() -> None:
    cluster = FakeCluster()
    theirs = {"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "team-a", "name": "go-auth"}, "data": {}}
    cluster.put(theirs)
    await made(cluster, proxy_value({**GENERATE, "deletionPolicy": {"storage": "Delete"}}))

    assert (await cluster.get(REF))["data"] == {}
    assert not (await cluster.get(REF))["metadata"].get("ownerReferences")


async def test_the_login_outlives_the_proxy_until_the_spec_says_otherwise() -> None:
    cluster = FakeCluster()
    await made(cluster, proxy_value(GENERATE))
    kept = (await cluster.get(REF))["metadata"].get("ownerReferences")
    await made(cluster, proxy_value({**GENERATE, "deletionPolicy": {"storage": "Delete"}}))
    owned = (await cluster.get(REF))["metadata"]["ownerReferences"]
    await made(cluster, proxy_value(GENERATE))

    assert not kept
    assert [owner["name"] for owner in owned] == ["go"]
    assert not (await cluster.get(REF))["metadata"].get("ownerReferences")


CLIENTS: dict[str, Any] = {"auth": {"clients": [{"name": "builds", "secretRef": {"name": "builds"}}]}}
OPERATORS = SECRETS.ref("team-a", "go-operator-login")


async def test_a_proxy_for_clients_alone_gets_a_login_for_the_operator_that_goes_with_it() -> None:
    """Else nobody could ask its pods how credentials fare, and its prefetch Job would be refused."""
    cluster = FakeCluster()
    logins = GeneratedLogins(cluster, allowed=True, readable=True)
    prefetched = proxy_value({**CLIENTS, "prefetch": {"modules": ["example.com/m@v1.0.0"]}})

    first, again = [await logins.ensured(prefetched, INPUTS) for _ in range(2)]

    made = await cluster.get(OPERATORS)
    job = prefetch_job(first, replace(INPUTS, served=frozenset({"Job"}))) or {}
    (container,) = job["spec"]["template"]["spec"]["containers"]
    named = {v["name"]: v["valueFrom"]["secretKeyRef"]["name"] for v in container["env"] if "valueFrom" in v}
    assert first == again
    assert len(login(made)[1]) >= 32
    assert [owner["name"] for owner in made["metadata"]["ownerReferences"]] == ["go"]
    assert dict.fromkeys(("BASIC_AUTH_USER", "BASIC_AUTH_PASS"), "go-operator-login") == named
    assert [client.name for client in first.spec.auth.clients] == ["builds"]


@pytest.mark.parametrize(("allowed", "readable"), [(False, True), (True, False)])
async def test_no_pod_waits_for_a_login_that_nobody_asked_for(allowed: bool, readable: bool) -> None:
    cluster, proxy = FakeCluster(), proxy_value(CLIENTS)
    logins = GeneratedLogins(cluster, allowed=allowed, readable=readable)

    assert await logins.ensured(proxy, INPUTS) is proxy
    assert cluster.objects == {}


async def test_a_login_that_may_not_be_made_leaves_the_proxy_as_it_is() -> None:
    class Refusing(FakeCluster):
        async def create(self, manifest: Manifest, *, manager: str = "") -> Manifest:
            raise Forbidden("secrets is forbidden: exceeded quota")

    proxy = proxy_value(CLIENTS)

    assert await GeneratedLogins(Refusing(), allowed=True, readable=True).ensured(proxy, INPUTS) is proxy


async def test_nothing_is_made_unasked_or_without_the_feature() -> None:
    cluster = FakeCluster()
    await made(cluster, proxy_value(), allowed=True)
    await made(cluster, proxy_value(GENERATE), allowed=False)
    await made(cluster, proxy_value({**GENERATE, "suspend": True}))

    assert cluster.objects == {}


async def test_a_missing_right_is_no_failure_of_the_pass() -> None:
    class Refusing(FakeCluster):
        async def create(self, manifest: Manifest, *, manager: str = "") -> Manifest:
            raise Forbidden("create Secret team-a/go-auth: no right")

    await made(Refusing(), proxy_value(GENERATE))


def test_pods_take_the_login_from_the_secret_that_is_made() -> None:
    (reference,) = proxy_value(GENERATE).secret_references

    assert (reference.name, reference.keys, reference.path) == (
        "go-auth",
        ("username", "password"),
        "spec.auth.basic.secretRef",
    )
