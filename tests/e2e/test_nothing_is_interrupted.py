"""Rolling update, drain and policy edit while clients ask again and again: not one request fails."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

from demonstration.kubectl import holds_for
from support.in_pods import run_script, service_of
from support.team import Team, upstream

SMALL = "github.com/google/uuid@v1.6.0"
LARGE_MODULE, LARGE_VERSION, LARGE_MIB = "example.com/large", "v1.0.0", 200
ORIGIN, ORIGIN_PORT = "large-origin", 8080
CLAIM: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "shared"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}},
}
SHARED = {"type": "disk", "disk": {"existingClaim": "shared"}}
ROLLOUT = {"strategy": "RollingUpdate", "minReadySeconds": 1}
CLIENT = "looping-client"
ALLOWED = {"name": "all", "patterns": ["*"], "mode": "sync"}


def tally(team: Team) -> dict[str, Any]:
    """What the clients said last."""
    lines = team.kubectl.run("logs", CLIENT, "--namespace", team.namespace, "--tail=1").splitlines()
    found: dict[str, Any] = json.loads(lines[-1]) if lines else {"done": {}}
    return found


def until_done(team: Team, count: int, deadline_s: float = 90) -> None:
    """Wait until each client has succeeded that often."""
    end = time.monotonic() + deadline_s
    while True:
        done = tally(team)["done"]
        if all(done.get(name, 0) >= count for name in ("small", "download", "slow zip")):
            return
        assert time.monotonic() < end, f"each client {count} times: {tally(team)}"
        time.sleep(0.5)


def evict(team: Team, pod: str) -> None:
    """What a drain does to a pod of its node."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": team.namespace}}
    path = f"/api/v1/namespaces/{team.namespace}/pods/{pod}/eviction"
    team.kubectl.run("create", "--raw", path, "-f", "-", stdin=json.dumps(body))


def serving(team: Team) -> dict[str, str]:
    """Names of the ready pods of the proxy by uid."""
    pods = team.kubectl.items("pods", team.namespace, selector="athensproxy.dev/proxy=go")
    return {
        pod["metadata"]["uid"]: pod["metadata"]["name"]
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and any((each["type"], each["status"]) == ("Ready", "True") for each in pod["status"].get("conditions", ()))
    }


def test_no_request_fails_while_pods_are_rolled_drained_and_given_new_policy(team: Team) -> None:
    team.kubectl.apply({**CLAIM, "metadata": {**CLAIM["metadata"], "namespace": team.namespace}})
    run_script(team, ORIGIN, LARGE_MODULE, LARGE_VERSION, str(LARGE_MIB), str(ORIGIN_PORT))
    team.kubectl.apply(service_of(team, ORIGIN, service=ORIGIN, port=ORIGIN_PORT, target=ORIGIN_PORT))
    sources = {
        "upstream": {"goproxy": f"http://{ORIGIN}:{ORIGIN_PORT},{upstream()}"},
        "checksumDB": {"noSumPatterns": [LARGE_MODULE]},
    }
    settings = {"storage": SHARED, "replicas": 2, "rollout": ROLLOUT, **sources}
    team.apply_proxy(**settings)
    team.apply_policy(ALLOWED)
    address = team.until_ready()["status"]["client"]["goproxy"]
    with team.client() as client:  # what is not stored yet waits for an upstream, and that is not what is tested
        assert client.run("mod", "download", SMALL).succeeded
        with urllib.request.urlopen(f"{client.goproxy}/{LARGE_MODULE}/@v/{LARGE_VERSION}.zip", timeout=90) as answer:
            assert int(answer.headers["Content-Length"]) > LARGE_MIB * 1024 * 1024
    run_script(team, CLIENT, address, SMALL, f"{LARGE_MODULE}@{LARGE_VERSION}")
    until_done(team, 1)
    before = serving(team)

    team.apply_proxy(**settings, server={"logLevel": "debug"})
    team.until(lambda proxy: holds_for("Ready")(proxy) and not before.keys() & serving(team).keys(), "other pods")
    rolled = serving(team)
    evict(team, next(iter(rolled.values())))
    team.until(lambda proxy: holds_for("Ready")(proxy) and len(serving(team)) == 2, "two pods after a drain")
    team.apply_policy({"name": "no", "patterns": ["example.com/evil"], "mode": "deny"}, ALLOWED)
    team.until_policy_programmed()
    until_done(team, 2)

    found = tally(team)
    print(f"while pods were replaced: {found['done']}")
    assert found["failures"] == 0, found["failed"]
    assert len(rolled) == 2
    assert rolled.keys() != serving(team).keys()
