"""The demo's promises: a real program's modules through real pods, and a policy edit that bites without a restart."""

from __future__ import annotations

import time

from demonstration.pod_client import download_in_pod, modules_in
from demonstration.story import HELLO, POLICY_DEADLINE_S, QUICKSTART
from support.team import Team

MODULES = 22
DENIED = "github.com/mgutz/ansi"
VERSION = "v0.0.0-20200706080929-d51e80ef957d"
SMALL = "rsc.io/sampler@v1.3.0"


def test_a_pod_downloads_a_real_program_through_the_service(team: Team) -> None:
    team.apply_file(QUICKSTART)
    goproxy = team.until_ready()["status"]["client"]["goproxy"]

    downloaded = download_in_pod(
        team.kubectl, namespace=team.namespace, image=team.images.proxy, module=HELLO, goproxy=goproxy
    )

    assert goproxy == f"http://go.{team.namespace}.svc.cluster.local"
    assert modules_in(downloaded) == MODULES


def test_a_client_outside_verifies_every_sum_with_the_database_behind_the_proxy(team: Team) -> None:
    """The client has no go.sum and no way out but the proxy, so the proxy relays the database's answers."""
    team.apply_proxy()
    team.until_ready()
    with team.client() as client:
        client.copy_module(HELLO, without="go.sum")

        assert modules_in(client.run("mod", "download", "-json")) == MODULES
        assert client.sums_looked_up() >= MODULES


def test_a_policy_edit_is_enforced_within_seconds_and_no_pod_is_restarted(team: Team) -> None:
    team.apply_proxy()
    team.apply_policy({"name": "all", "patterns": ["*"], "mode": "sync"})
    team.until_ready()
    pods, old = team.pods(), team.until_policy_programmed()
    with team.client() as client:
        assert client.run("mod", "download", f"{DENIED}@{VERSION}").succeeded

        started = time.monotonic()
        team.apply_policy({"name": "no-ansi", "patterns": [DENIED], "mode": "deny", "reason": "SEC-112, colours"})
        new = team.until_policy_programmed(unlike=old, deadline_s=POLICY_DEADLINE_S)
        took_s = time.monotonic() - started
        client.forget()
        refused = client.run("mod", "download", f"{DENIED}@{VERSION}")
        allowed = client.run("mod", "download", SMALL)

    print(f"edit to programmed 1/1: {took_s:.1f} s")
    assert new["status"]["summary"] == "1/1"
    assert not refused.succeeded
    assert f"denied by {team.namespace}/base#no-ansi: SEC-112, colours" in refused.output
    assert allowed.succeeded
    assert team.pods() == pods


def test_the_time_from_apply_to_the_first_served_module_is_known(team: Team) -> None:
    started = time.monotonic()
    team.apply_proxy(rollout={})
    team.until_ready()
    ready_s = time.monotonic() - started
    with team.client() as client:
        served = client.run("mod", "download", SMALL)

    print(f"applied to Ready: {ready_s:.1f} s; to the first module: {time.monotonic() - started:.1f} s")
    assert served.succeeded
