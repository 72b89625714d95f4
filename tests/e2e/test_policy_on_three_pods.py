"""What three running pods enforce, each asked by itself, while policies change under them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from athens_policy.model import MAX_BLOCKS, MAX_BYTES
from demonstration.kubectl import Manifest
from support.exchange import Answer, ask
from support.team import Team

MODULE, VERSION = "github.com/pkg/errors", "v0.9.1"
ENFORCED_WITHIN_S = 10.0
PATTERNS_OF_A_RULE = 32
SLACK_BYTES = 1_000  # for the head of the file and its last two rules
CLAIM: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
ALLOWED = {"name": "all", "patterns": ["*"], "mode": "sync"}
DENIED = {"name": "no", "patterns": [MODULE], "mode": "deny", "reason": "SEC-112"}


class Pods:
    """Three pods, each behind an address of its own."""

    def __init__(self, team: Team, addresses: list[str]) -> None:
        self.team = team
        self._addresses = addresses

    def ask(self, target: str) -> list[Answer]:
        """What each of them answers to the same request."""
        return [ask(address, target) for address in self._addresses]


@pytest.fixture(scope="module")
def pods(lasting_team: Team) -> Iterator[Pods]:
    team = lasting_team
    team.kubectl.apply({**CLAIM, "metadata": {"name": "shared", "namespace": team.namespace}})
    shared = {"type": "disk", "disk": {"existingClaim": "shared"}}
    team.apply_proxy(storage=shared, replicas=3)
    team.apply_policy(ALLOWED)
    team.until_ready()
    label = "athensproxy.dev/proxy=go,app.kubernetes.io/component=proxy"
    names = [pod["metadata"]["name"] for pod in team.kubectl.items("pods", team.namespace, label)]
    assert len(names) == 3
    with ExitStack() as stack:
        ports = [stack.enter_context(team.kubectl.port_forward(team.namespace, f"pod/{name}", 3000)) for name in names]
        yield Pods(team, [f"http://127.0.0.1:{port}" for port in ports])


def test_every_pod_denies_once_kubectl_waited_and_none_is_restarted(pods: Pods) -> None:
    """Within ten seconds, as status and kubectl tell, also what is stored already."""
    team, file = pods.team, f"/{MODULE}/@v/{VERSION}.info"
    before = team.pods()
    assert [answer.status for answer in pods.ask(file)] == [200, 200, 200]

    began = time.monotonic()
    team.apply_policy(DENIED, ALLOWED)
    for kind, name, held in (("dlp", "base", "Programmed"), ("athp", "go", "PolicyProgrammed")):
        wait = ["wait", f"{kind}/{name}", "--namespace", team.namespace, f"--for=condition={held}", "--timeout=30s"]
        team.kubectl.run(*wait)
    took_s = time.monotonic() - began
    answers = pods.ask(file)

    print(f"applied to enforced by three pods: {took_s:.1f} s")
    assert [answer.status for answer in answers] == [403, 403, 403]
    assert all(f"denied by {team.namespace}/base#no: SEC-112" in answer.text for answer in answers)
    proxy = team.kubectl.get("athp", "go", team.namespace) or {}
    assert proxy["status"]["policy"]["programmed"] == "3/3"
    assert took_s < ENFORCED_WITHIN_S
    assert team.pods() == before


def test_denied_versions_leave_list_and_latest_of_every_pod_and_their_neighbours_are_served(pods: Pods) -> None:
    team, path = pods.team, f"/{MODULE}/@v"
    team.apply_policy({**DENIED, "name": "late", "versions": ">=v0.9.0 <v0.9.1"}, ALLOWED)
    team.until_policy_programmed()

    assert {answer.status for answer in pods.ask(f"{path}/v0.9.0.info")} == {403}
    assert {answer.status for answer in pods.ask(f"{path}/v0.8.1.info") + pods.ask(f"{path}/{VERSION}.info")} == {200}
    for answer in pods.ask(f"{path}/list"):
        assert "v0.9.0" not in answer.text.split()
        assert {"v0.8.1", VERSION} <= set(answer.text.split())
    assert all(VERSION in answer.text for answer in pods.ask(f"/{MODULE}/@latest"))


def largest(namespace: str) -> list[Manifest]:
    """Rules of as many blocks as a file may have and of nearly as many bytes; the last but one denies."""
    count = MAX_BLOCKS - 2
    frame = f'# DownloadPolicy {namespace}/base#n00 (Selected)\ndownload "" {{\n  mode = "sync"\n}}\n\n'
    width = (MAX_BYTES - SLACK_BYTES) // count - len(frame)
    patterns = [f"example.com/{number:04}".ljust(width, "x") for number in range(count)]
    groups = [patterns[first : first + PATTERNS_OF_A_RULE] for first in range(0, count, PATTERNS_OF_A_RULE)]
    filling = [{"name": f"n{number}", "patterns": group, "mode": "sync"} for number, group in enumerate(groups)]
    return [*filling, DENIED, ALLOWED]


if os.environ.get("ATHENS_TEST_FULL"):  # seconds of work on every pod; without pods its two sides are always tested

    def test_a_file_of_nearly_the_largest_size_is_enforced_by_running_pods(pods: Pods) -> None:
        """Of as many blocks as a file may have; what one byte too many does is shown without pods."""
        team, before = pods.team, pods.team.pods()
        before_it = team.kubectl.get("dlp", "base", team.namespace)
        began = time.monotonic()
        team.apply_policy(*largest(team.namespace))
        team.until_policy_programmed(unlike=before_it)
        policy = (team.kubectl.get("athp", "go", team.namespace) or {})["status"]["policy"]

        print(f"{policy['bytes']} bytes enforced after {time.monotonic() - began:.1f} s")
        assert MAX_BYTES - 2 * MAX_BLOCKS < int(policy["bytes"]) <= MAX_BYTES
        assert {answer.status for answer in pods.ask(f"/{MODULE}/@v/{VERSION}.info")} == {403}
        assert {answer.status for answer in pods.ask("/github.com/google/uuid/@v/v1.6.0.info")} == {200}
        assert team.pods() == before
