"""A Mandatory deny cannot be bypassed by anything that a team can write into its namespace: one test per route."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from athens_cli.explain import Explainer, Question
from athens_cli.located import documents
from athens_cli.objects import of_documents
from athens_policy.decide import verdict_of
from athens_policy.model import Mode

GUARD: dict[str, Any] = {
    "kind": "ClusterDownloadPolicy",
    "metadata": {"name": "guard"},
    "spec": {
        "enforcement": "Mandatory",
        "priority": -1000,
        "namespaceSelector": {},
        "rules": [{"name": "evil", "patterns": ["example.com/evil"], "mode": "deny", "reason": "SEC-112"}],
    },
}
LETS_IT_IN = {"name": "mine", "patterns": ["example.com/evil", "*"], "mode": "allow"}


def proxy(**spec: Any) -> dict[str, Any]:
    return {
        "kind": "AthensProxy",
        "metadata": {"name": "go", "namespace": "team-a", "labels": {"team": "a"}},
        "spec": {"storage": {"type": "memory", "memory": {}}, **spec},
    }


def policy(namespace: str = "team-a", **spec: Any) -> dict[str, Any]:
    return {
        "kind": "DownloadPolicy",
        "metadata": {"name": "a", "namespace": namespace},
        "spec": {"rules": [LETS_IT_IN], **spec},
    }


REF = {"policyRefs": [{"name": "a"}]}
ROUTES = {
    "inline rules": [proxy(download={"rules": [LETS_IT_IN]})],
    "an inline redirect": [
        proxy(download={"rules": [{**LETS_IT_IN, "mode": "redirect", "downloadURL": "https://goproxy.example.com"}]})
    ],
    "a default mode": [proxy(download={"defaultMode": "sync"})],
    "a reference": [proxy(**REF), policy()],
    "a reference to another namespace": [
        proxy(policyRefs=[{"name": "a", "namespace": "team-b"}]),
        policy("team-b", shareWith={"from": "All"}),
    ],
    "a selector of the highest priority": [proxy(), policy(proxySelector={}, priority=1000)],
    "refusing selected policies": [proxy(acceptSelectedPolicies=False)],
    "an age that has passed": [proxy(download={"rules": [{**LETS_IT_IN, "minAge": "1s"}]})],
    "an upstream of its own": [proxy(download={"rules": [{**LETS_IT_IN, "upstream": "https://goproxy.example.com"}]})],
    "rules on trial": [proxy(), policy(proxySelector={}, audit=True)],
    "a version range": [proxy(download={"rules": [{**LETS_IT_IN, "versions": ">=v0.0.0"}]})],
    "a deeper pattern": [proxy(download={"rules": [{**LETS_IT_IN, "patterns": ["example.com/evil/deeper"]}]})],
    "listing a private module": [proxy(privateModules=["example.com/evil"])],
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("module", ["example.com/evil", "example.com/evil/deeper"])
@pytest.mark.parametrize("version", ["v1.0.0", ""])
def test_a_mandatory_deny_holds_whatever_a_team_writes(route: str, module: str, version: str) -> None:
    text = yaml.safe_dump_all([*ROUTES[route], GUARD])
    objects = of_documents(documents(text, "tree"))
    assert objects.broken == ()
    explainer = Explainer(objects.merged(objects.proxy("go")))
    decision = explainer.decision(Question(module, version))

    assert (verdict_of(decision.effect), explainer.rule_of(decision)) == (Mode.DENY, "guard#evil")
