"""At rest nothing is written: no status, no child, no Event.

First of all files, because no other test's namespace may be on its way out meanwhile.
"""

from __future__ import annotations

import os
import re
import time

import pytest

from demonstration.kubectl import Kubectl
from support.team import Team

pytestmark = pytest.mark.alone

MINUTE_S = float(os.environ.get("REST_S", "60"))  # an hour is worth watching now and then
LOOK_EVERY_S = 3.0  # it is a minute of watching, not of waiting for something
KINDS = "athp,dlp,configmaps,services,serviceaccounts,deployments,persistentvolumeclaims,pods,events"
APPLIES = re.compile(r'^apiserver_request_total\{.*?resource="(?P<resource>[^"]*)".*?verb="APPLY".*?\} (?P<count>\S+)$')


def applies(kubectl: Kubectl) -> dict[str, float]:
    """Server-side applies per resource; only the operator applies here. Its Lease beats, that is no change of state."""
    counts: dict[str, float] = {}
    for line in kubectl.run("get", "--raw", "/metrics").splitlines():
        found = APPLIES.match(line)
        if found and found["resource"] != "leases":
            counts[found["resource"]] = counts.get(found["resource"], 0.0) + float(found["count"])
    return counts


def versions(team: Team) -> dict[str, str]:
    """Uid -> resourceVersion of everything in the namespace that the operator can write."""
    return {
        item["metadata"]["uid"]: item["metadata"]["resourceVersion"]
        for item in team.kubectl.items(KINDS, team.namespace)
    }


def changes(team: Team, during_s: float, until_quiet_s: float = 0.0) -> int:
    """How often something changed in a while; ends early once nothing has changed for `until_quiet_s`."""
    start = time.monotonic()
    seen, changed_at, count = versions(team), start, 0
    while time.monotonic() - start < during_s:
        time.sleep(LOOK_EVERY_S)
        now = versions(team)
        if now != seen:
            seen, changed_at, count = now, time.monotonic(), count + 1
        if until_quiet_s and time.monotonic() - changed_at > until_quiet_s:
            return count
    return count


def test_a_quiet_minute_has_no_write(team: Team) -> None:
    team.apply_proxy()
    team.apply_policy({"name": "all", "patterns": ["*"], "mode": "sync"})
    team.until_ready()
    leaving = team.kubectl.items("namespaces", selector="athensproxy.dev/e2e")
    for namespace in (item["metadata"]["name"] for item in leaving):
        if namespace != team.namespace:
            team.kubectl.run("wait", f"namespace/{namespace}", "--for=delete", "--timeout=120s", deadline_s=130)
    changes(team, during_s=60.0, until_quiet_s=8.0)

    before = applies(team.kubectl)
    changed = changes(team, during_s=MINUTE_S)

    assert changed == 0
    assert applies(team.kubectl) == before
