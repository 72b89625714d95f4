"""Missing rights are named; what is asked for is what the operator is shipped with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import yaml

from athens_operator.resources import PODS
from athens_operator.rights import Right, missing_rights, needed
from athens_operator.settings import SecretAccess, Settings
from support.fake_cluster import FakeCluster
from support.tree import ROOT

EVERYTHING = Settings()
TEAMS = Settings(watch_namespaces=("a", "b"), secret_access=SecretAccess.NONE)


def shipped() -> Iterator[tuple[str, str, str]]:
    """Group, resource and verb of every rule that the plain manifest gives to the operator."""
    names = {"ClusterRole": "athens-operator", "Role": "athens-operator-state"}
    for manifest in yaml.load_all((ROOT / "deploy/install.yaml").read_text(), yaml.CSafeLoader):
        if manifest and names.get(manifest["kind"]) == manifest["metadata"]["name"]:
            for rule in manifest["rules"]:
                for group in rule["apiGroups"]:
                    yield from ((group, what, verb) for what in rule["resources"] for verb in rule["verbs"])


def as_in_a_role(right: Right) -> tuple[str, str, str]:
    resource = "/".join(filter(None, (right.resource.plural, right.subresource)))
    return right.resource.group, resource, right.verb


def test_nothing_is_asked_for_that_the_shipped_role_does_not_give() -> None:
    assert {as_in_a_role(right) for right in needed(EVERYTHING)} <= set(shipped())


def test_what_is_missing_is_named_by_kind_place_and_verb() -> None:
    cluster = FakeCluster()
    cluster.denied = {("create", "services"), ("patch", "services"), ("delete", "services"), ("patch", "pods")}
    cluster.denied.add(("patch", "athensproxies/status"))

    lacking = asyncio.run(missing_rights(cluster, EVERYTHING, known=()))

    assert lacking == (
        "athensproxies.athensproxy.dev/status: patch",
        "pods: patch",
        "services: create, patch and delete",
    )
    assert "pods: patch" not in asyncio.run(missing_rights(cluster, EVERYTHING, known=(PODS,)))


@pytest.mark.parametrize("denied", ["namespaces", "secrets", "clusterdownloadpolicies"])
def test_an_installation_for_some_namespaces_asks_for_less(denied: str) -> None:
    cluster = FakeCluster()
    cluster.denied = {(verb, denied) for verb in ("get", "list", "watch", "create", "patch")}

    assert asyncio.run(missing_rights(cluster, TEAMS, known=())) == ()


def test_a_right_that_one_namespace_lacks_says_which() -> None:
    cluster = FakeCluster()
    cluster.denied = {("create", "events")}

    assert asyncio.run(missing_rights(cluster, TEAMS, known=())) == (
        "events.events.k8s.io in namespace a: create",
        "events.events.k8s.io in namespace b: create",
    )
