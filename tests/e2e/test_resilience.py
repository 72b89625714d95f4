"""What dies is replaced, what is cached stays, and the proxies need no operator."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from demonstration.errors import DemoError
from demonstration.installation import NAMESPACE as OPERATOR_NAMESPACE
from demonstration.installation import RELEASE
from demonstration.kubectl import Kubectl, Manifest
from demonstration.tools import CLUSTER, run
from support.team import Team

CACHED = "github.com/google/uuid@v1.6.0"
FRESH = "github.com/pkg/errors@v0.9.1"
BY_HAND = """\
mode = "sync"
downloadURL = ""

download "github.com/pkg/errors" {
  mode = "deny"
  reason = "by hand"
}
"""
DEADLINE_S = 60.0
SYNC_S = 150.0  # the kubelet refreshes a ConfigMap volume at the latest every 60 to 90 s


@pytest.fixture
def cached(team: Team) -> Team:
    """A team whose proxy has one module in its store and no way to fetch it again."""
    team.apply_proxy()
    team.until_ready()
    with team.client() as client:
        assert client.run("mod", "download", CACHED).succeeded
    return team


@pytest.fixture
def no_operator(kubectl: Kubectl, operator: None) -> Iterator[None]:
    """The operator's pods are gone while the test runs."""
    scale(kubectl, 0)
    yield
    scale(kubectl, 1)


def scale(kubectl: Kubectl, replicas: int) -> None:
    kubectl.run("scale", "deployment", RELEASE, "--namespace", OPERATOR_NAMESPACE, f"--replicas={replicas}")
    kubectl.run("rollout", "status", f"deployment/{RELEASE}", "--namespace", OPERATOR_NAMESPACE, deadline_s=90)
    if replicas == 0:
        kubectl.run("wait", "pod", "--for=delete", "--all", "--namespace", OPERATOR_NAMESPACE, "--timeout=60s")


def make_the_kubelet_look(team: Team) -> None:
    """It looks after each change of a pod, and else after a minute or more."""
    pods = ("pods", "--selector", "athensproxy.dev/proxy=go", "--namespace", team.namespace)
    team.kubectl.run("annotate", *pods, "example.com/looked-at=now")


def serves(team: Team, module: str, deadline_s: float = DEADLINE_S) -> bool:
    """Whether a go client with an empty cache gets the module before the deadline."""
    end = time.monotonic() + deadline_s
    while True:
        served = _served_now(team, module)
        if served or time.monotonic() > end:
            return served


def _served_now(team: Team, module: str) -> bool:
    """A port-forward runs through the kubelet, so it may be refused while the proxy itself serves."""
    try:
        with team.client() as client:
            return client.run("mod", "download", module).succeeded
    except DemoError as refused:
        print(refused)
        return False


def test_a_deleted_pod_is_replaced_and_serves_what_was_cached(cached: Team) -> None:
    """Mode `none` serves what is stored and fetches nothing, so only the store can answer."""
    cached.apply_policy({"name": "stored", "patterns": ["*"], "mode": "none"})
    cached.until_policy_programmed()
    before = cached.pods()
    cached.kubectl.run("delete", "pod", "--namespace", cached.namespace, "--selector", "athensproxy.dev/proxy=go")
    cached.until(lambda proxy: set(cached.pods()).isdisjoint(before) and ready(proxy), "another pod to be Ready")

    assert serves(cached, CACHED)
    assert not serves(cached, FRESH, deadline_s=0)


@pytest.mark.alone
def test_the_proxies_keep_serving_and_still_take_up_policy_without_an_operator(cached: Team, no_operator: None) -> None:
    with cached.client() as client:
        assert client.run("mod", "download", CACHED).succeeded
        assert client.run("mod", "download", FRESH).succeeded

        cached.kubectl.patch("configmap", "go-policy", cached.namespace, {"data": {"download.hcl": BY_HAND}})
        make_the_kubelet_look(cached)
        end = time.monotonic() + SYNC_S
        refused = client.run("mod", "download", FRESH)
        while refused.succeeded and time.monotonic() < end:
            client.forget()
            refused = client.run("mod", "download", FRESH)

    assert not refused.succeeded
    assert "by hand" in refused.output


@pytest.mark.alone
def test_an_operator_that_comes_back_undoes_what_was_edited_by_hand(cached: Team) -> None:
    before = configured(cached)
    scale(cached.kubectl, 0)
    try:
        cached.kubectl.patch("configmap", "go-policy", cached.namespace, {"data": {"download.hcl": 'mode = "none"\n'}})
    finally:
        scale(cached.kubectl, 1)

    def restored(configmap: Manifest) -> bool:
        return bool(configmap["data"] == before["data"])

    cached.kubectl.until(
        "configmap", "go-policy", cached.namespace, restored, "the rendered file to be back", DEADLINE_S
    )


@pytest.mark.alone
def test_a_restarted_operator_restarts_no_pod(cached: Team) -> None:
    pods = cached.pods()
    scale(cached.kubectl, 0)
    scale(cached.kubectl, 1)
    cached.until_ready()

    assert cached.pods() == pods


@pytest.mark.alone
def test_a_restarted_kubelet_interrupts_nothing(cached: Team) -> None:
    pods = cached.pods()
    if os.environ.get("CLUSTER") or os.environ.get("KUBECONFIG"):
        print("a named cluster is not ours to break: only checked that it serves")
    else:
        run([CLUSTER, "restart-kubelet"], print)

    assert serves(cached, CACHED)
    assert serves(cached, FRESH)
    assert cached.pods() == pods


def ready(proxy: Manifest) -> bool:
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in proxy["status"]["conditions"])


def configured(team: Team) -> Manifest:
    found = team.kubectl.get("configmap", "go-policy", team.namespace)
    assert found is not None
    return found
