"""Secrets are looked up by name, hashed with a key of our own, and never shown."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from athens_operator.cluster import Immutable
from athens_operator.manifests import Manifest
from athens_operator.secrets import STATE_NAME, SecretReader
from athens_operator.spec import AthensProxy
from support.fake_cluster import FakeCluster
from support.proxies import proxy


def with_login() -> AthensProxy:
    body = proxy("a", auth={"basic": {"secretRef": {"name": "login"}}})
    return AthensProxy.parse({**body, "metadata": {**body["metadata"], "uid": "u"}})


def login(password: str, **labels: str) -> Manifest:
    data = {"username": "YW5u", "password": base64.b64encode(password.encode()).decode(), "unused": "eA=="}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": "a", "name": "login", "labels": labels},
        "data": data,
    }


def reader(cluster: FakeCluster, *, allowed: bool = True) -> SecretReader:
    return SecretReader(cluster, namespace="ops", allowed=allowed)


def test_a_proxy_without_references_costs_no_request() -> None:
    async def main() -> None:
        facts = await reader(FakeCluster()).facts(AthensProxy.parse(proxy("a")))

        assert (facts.missing, facts.readable, facts.hash) == ((), True, "")

    asyncio.run(main())


def test_a_missing_secret_and_a_missing_key_are_told_apart() -> None:
    async def main() -> None:
        cluster = FakeCluster()
        absent = await reader(cluster).facts(with_login())
        secret = login("x")
        del secret["data"]["password"]
        cluster.put(secret)
        partial = await reader(cluster).facts(with_login())

        assert [found.key for found in absent.missing] == [""]
        assert [found.key for found in partial.missing] == ["password"]
        assert absent.hash == partial.hash == ""

    asyncio.run(main())


def test_the_login_is_known_and_not_shown() -> None:
    async def main() -> None:
        cluster = FakeCluster()
        cluster.put(login("one"))
        facts = await reader(cluster).facts(with_login())

        assert facts.login is not None
        assert facts.login[1] not in repr(facts)

    asyncio.run(main())


def test_the_hash_changes_with_a_referenced_value_and_with_nothing_else() -> None:
    async def main() -> None:
        cluster = FakeCluster()
        cluster.put(login("one"))
        first = (await reader(cluster).facts(with_login())).hash
        cluster.put(login("one", team="x"))
        relabelled = (await reader(cluster).facts(with_login())).hash
        cluster.put(login("two"))
        rotated = (await reader(cluster).facts(with_login())).hash

        assert first
        assert relabelled == first
        assert rotated not in ("", first)

    asyncio.run(main())


def test_the_hash_survives_a_restart_and_differs_between_installations() -> None:
    async def main() -> None:
        one, other = FakeCluster(), FakeCluster()
        for cluster in (one, other):
            cluster.put(login("same"))
        hashes = [(await reader(cluster).facts(with_login())).hash for cluster in (one, one, other)]

        assert hashes[0] == hashes[1] != hashes[2]
        assert [ref.name for verb, ref in one.writes if verb == "create"] == [STATE_NAME]

    asyncio.run(main())


def test_without_permission_nothing_is_asked_and_nothing_is_called_missing() -> None:
    async def main() -> None:
        facts = await reader(FakeCluster(), allowed=False).facts(with_login())

        assert not facts.readable
        assert facts.missing == ()

    asyncio.run(main())


def with_files() -> AthensProxy:
    spec: dict[str, Any] = {
        "tls": {"secretRef": {"name": "certificate"}},
        "trustedCA": [{"configMapRef": {"name": "corporate"}}],
        "credentials": [{"name": "login", "type": "netrc", "secretRef": {"name": "origins"}}],
    }
    body = proxy("a", **spec)
    return AthensProxy.parse({**body, "metadata": {**body["metadata"], "uid": "u"}})


def source(kind: str, name: str, **data: str) -> Manifest:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"namespace": "a", "name": name}, "data": data}


def test_config_maps_are_looked_up_as_such() -> None:
    async def main() -> None:
        cluster = FakeCluster()
        cluster.put(source("Secret", "certificate", **{"tls.crt": "eA==", "tls.key": "eA=="}))
        cluster.put(source("Secret", "corporate", **{"ca.crt": "eA=="}))
        cluster.put(source("Secret", "origins", netrc="eA=="))
        facts = await reader(cluster).facts(with_files())

        assert [(found.reference.kind, found.reference.name) for found in facts.missing] == [("ConfigMap", "corporate")]

    asyncio.run(main())


def test_what_pods_read_again_by_themselves_does_not_roll_them() -> None:
    """A renewed certificate and a new login are taken up within seconds; an authority is read at the start."""

    async def main() -> None:
        cluster = FakeCluster()
        cluster.put(source("Secret", "certificate", **{"tls.crt": "eA==", "tls.key": "eA=="}))
        cluster.put(source("ConfigMap", "corporate", **{"ca.crt": "old"}))
        cluster.put(source("Secret", "origins", netrc="eA=="))
        first = (await reader(cluster).facts(with_files())).hash
        cluster.put(source("Secret", "certificate", **{"tls.crt": "eQ==", "tls.key": "eQ=="}))
        renewed = (await reader(cluster).facts(with_files())).hash
        cluster.put(source("Secret", "origins", netrc="eQ=="))
        rotated = (await reader(cluster).facts(with_files())).hash
        cluster.put(source("ConfigMap", "corporate", **{"ca.crt": "new"}))
        trusted = (await reader(cluster).facts(with_files())).hash

        assert first
        assert renewed == rotated == first
        assert trusted != first

    asyncio.run(main())


async def test_a_state_that_cannot_be_used_or_replaced_costs_no_pass() -> None:
    """An immutable Secret without a key, for instance: rotations go unnoticed, and everything else goes on."""

    class Frozen(FakeCluster):
        async def apply(self, manifest: Manifest, *, subresource: str = "", manager: str = "") -> Manifest:
            raise Immutable("field is immutable when `immutable` is set")

    cluster = Frozen()
    metadata = {"namespace": "ops", "name": STATE_NAME}
    cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "immutable": True})
    cluster.put(login("one"))

    facts = await reader(cluster).facts(with_login())

    assert (facts.missing, facts.readable, facts.hash) == ((), True, "")
