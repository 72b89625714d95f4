"""Platforms that choose user and group of every pod themselves, as OpenShift does."""

from __future__ import annotations

from typing import Any

from support.team import EPHEMERAL, Team

USER = 1_000_650_000


def test_a_pod_runs_under_ids_that_a_platform_assigns(team: Team) -> None:
    """The pod as rendered for such a platform, with what its admission would add."""
    team.apply_proxy(storage=EPHEMERAL, replicas=0, security={"profile": "PlatformAssigned"})
    team.kubectl.until("deployment", "go", team.namespace, bool, "the Deployment to be there", 30)
    deployment = team.kubectl.get("deployment", "go", team.namespace) or {}
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    context = spec.get("securityContext", {})
    assert not {"runAsUser", "runAsGroup", "fsGroup"} & context.keys()
    spec["securityContext"] = {**context, "runAsUser": USER, "runAsGroup": 0, "fsGroup": USER}
    metadata = {"name": "assigned", "namespace": team.namespace}
    team.kubectl.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    wait = ["wait", "pod/assigned", "--namespace", team.namespace, "--for=condition=Ready", "--timeout=60s"]
    team.kubectl.run(*wait, deadline_s=70)
    container = ["exec", "assigned", "--namespace", team.namespace, "-c", "athens", "--", "id", "-u"]
    assert team.kubectl.run(*container).strip() == str(USER)
