"""How far a policy is enforced: read from the status of its proxies, summed up for its authors."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from athens_operator.attachment import attached
from athens_operator.manifests import Ref
from athens_operator.policies import Policy
from athens_operator.status import status_of
from athens_operator.status_observed import ApplyFailure, FailureReason, PolicyFailure, Readback
from athens_operator.status_policy import AttachedProxy, State, attached_proxy, status_of_policy
from athens_policy.merge import PolicySource, merge
from support.crd_schema import schema, violations
from support.observations import DIGEST, NOW, OLD_DIGEST, condition_of, judged, observed, policy_state
from support.operator_values import policy_value, proxy_value, rule

BASE = policy_value(generation=3, rules=[rule("no-evil", "example.com/evil", reason="SEC-1")])


def seen(policy: Policy = BASE, /, generation: int = 3, **changes: Any) -> AttachedProxy:
    """What the status of a proxy says that merged one generation of the policy."""
    proxy = proxy_value()
    sources = [
        PolicySource(**{**vars(source), "generation": generation}) for source in attached(proxy, [policy], {}).sources
    ]
    facts = {"policy": policy_state(merged=merge(sources)), **changes}
    return attached_proxy(policy, "team-a", "go", status_of(proxy, observed(proxy, **facts), NOW))


def status(policy: Policy = BASE, *proxies: AttachedProxy, old: dict[str, Any] | None = None) -> dict[str, Any]:
    found = status_of_policy(policy, proxies, old or {}, NOW)
    assert list(violations(schema(policy.kind, "status"), found)) == []
    return found


def test_a_policy_that_all_pods_enforce() -> None:
    found = status(BASE, seen())

    assert {key: value for key, value in found.items() if key not in ("conditions", "digest", "revision")} == {
        "observedGeneration": 3,
        "rules": 1,
        "attachedProxies": 1,
        "programmedProxies": 1,
        "summary": "1/1",
        "proxies": [
            {
                "namespace": "team-a",
                "name": "go",
                "state": "Programmed",
                "digest": DIGEST,
                "programmed": "1/1",
                "conflicts": 0,
            }
        ],
    }
    assert [judged(found, kind) for kind in ("Ready", "Accepted", "Programmed", "Stalled", "Reconciling")] == [
        "True/Programmed",
        "True/Accepted",
        "True/Programmed",
        "-",
        "-",
    ]


def test_the_digest_is_that_of_the_policys_own_rules() -> None:
    edited = policy_value(generation=4, rules=[rule("no-evil", "example.com/evil", reason="SEC-2")])

    assert status(BASE)["digest"] != status(edited)["digest"]
    assert status(BASE)["revision"] == status(BASE)["digest"][7:15]


@pytest.mark.parametrize(
    ("proxy", "state"),
    [
        (seen(), State.PROGRAMMED),
        (seen(generation=2), State.PROPAGATING),
        (seen(readback={"go-0": Readback(OLD_DIGEST)}), State.PROPAGATING),
        (seen(readback={"go-0": Readback(OLD_DIGEST, "line 3: unknown mode")}), State.HELD),
        (seen(readback={"go-0": Readback("")}), State.UNKNOWN),
        (
            seen(policy=policy_state(merged=None, kept_last_good=True, failure=PolicyFailure("Oversize", "x"))),
            State.HELD,
        ),
    ],
)
def test_what_a_proxy_makes_of_it(proxy: AttachedProxy, state: State) -> None:
    assert proxy.state is state


@pytest.mark.parametrize(
    ("state", "available", "programmed", "ready", "also"),
    [
        (State.PROPAGATING, True, "False/Propagating", "False/Propagating", "Reconciling"),
        (State.PROPAGATING, False, "False/ProxyNotReady", "False/ProxyNotReady", "Reconciling"),
        (State.HELD, True, "False/Held", "False/Held", "Stalled"),
        (State.UNKNOWN, True, "Unknown/PodsUnreachable", "True/PodsUnreachable", ""),
    ],
)
def test_one_proxy_that_is_behind_decides(
    state: State, programmed: str, ready: str, also: str, *, available: bool
) -> None:
    behind = AttachedProxy("team-a", "other", state, OLD_DIGEST, "0/1", 0, available)
    found = status(BASE, seen(), behind)

    assert (found["summary"], judged(found, "Programmed"), judged(found, "Ready")) == ("1/2", programmed, ready)
    assert [kind for kind in ("Reconciling", "Stalled") if condition_of(found, kind)] == ([also] if also else [])


def test_a_policy_without_proxies_is_ready_and_says_so() -> None:
    found = status(BASE)

    assert (judged(found, "Programmed"), judged(found, "Ready")) == ("Unknown/NoTargets", "True/NoTargets")
    assert found["summary"] == "0/0"


@pytest.mark.parametrize(
    ("spec", "advice"),
    [
        ({}, "without spec.namespaceSelector it reaches no namespace"),
        ({"namespaceSelector": {}}, "see spec.namespaceSelector and spec.proxySelector"),
    ],
)
def test_a_cluster_policy_without_proxies_says_which_selector_to_look_at(spec: dict[str, Any], advice: str) -> None:
    found = status(policy_value("guard", kind="ClusterDownloadPolicy", enforcement="Default", **spec))

    assert advice in condition_of(found, "Programmed")["message"]


@pytest.mark.parametrize(
    ("rules", "reason", "said"),
    [
        ([rule(mode="bogus")], "InvalidRule", "spec.rules[0].mode"),
        ([rule("same"), rule("same", "example.com/y")], "DuplicateRuleName", "the name same occurs twice"),
        ([rule(patterns="x", versions=">v1.0.0 nonsense")], "InvalidRule", "versions"),
    ],
)
def test_a_policy_that_cannot_be_rendered_is_not_accepted(rules: list[Any], reason: str, said: str) -> None:
    found = status(policy_value(rules=[{**entry, "patterns": ["example.com/x"]} for entry in rules]))

    assert judged(found, "Accepted") == judged(found, "Ready") == f"False/{reason}"
    assert judged(found, "Stalled") == f"True/{reason}"
    assert said in condition_of(found, "Ready")["message"]
    assert "digest" not in found


def test_rules_that_lose_are_counted() -> None:
    twice = policy_value(rules=[rule("one"), rule("two")], generation=3)
    found = status(twice, seen(twice))

    assert found["proxies"][0]["conflicts"] == 1
    assert judged(found, "Conflicted") == "True/RulesConflict"
    assert judged(found, "Ready") == "True/Programmed"


def fleet(count: int) -> list[AttachedProxy]:
    return [AttachedProxy("n", f"p{number:03}", State.PROGRAMMED, DIGEST, "1/1", 0, True) for number in range(count)]


def test_a_hundred_proxies_are_listed_by_name() -> None:
    found = status(BASE, *reversed(fleet(100)))

    assert [entry["name"] for entry in found["proxies"]] == [f"p{number:03}" for number in range(100)]
    assert "truncated" not in found


def test_of_more_proxies_those_are_listed_that_deserve_a_look() -> None:
    many = fleet(101)
    many[40] = replace(many[40], conflicts=1)
    many[70] = replace(many[70], state=State.PROPAGATING)
    many[90] = replace(many[90], state=State.HELD)
    many[80] = replace(many[80], state=State.UNKNOWN)
    found = status(BASE, *reversed(many))

    assert (found["summary"], found["attachedProxies"], found["truncated"]) == ("98/101", 101, True)
    listed = [entry["name"] for entry in found["proxies"]]
    assert listed[:6] == ["p090", "p080", "p070", "p040", "p000", "p001"]
    assert len(listed) == 20


def test_the_same_situation_later_is_the_same_status() -> None:
    first = status(BASE, seen())

    assert status_of_policy(BASE, [seen()], first, NOW + timedelta(hours=3)) == first


def test_cluster_policies_have_the_same_status() -> None:
    guard = policy_value(
        "guard", kind="ClusterDownloadPolicy", enforcement="Mandatory", namespaceSelector={}, rules=[rule()]
    )

    assert judged(status(guard, seen(guard, generation=1)), "Programmed") == "True/Programmed"


def test_a_refused_child_of_a_proxy_does_not_hold_its_policies() -> None:
    refused = ApplyFailure(Ref("v1", "Service", "team-a", "go"), FailureReason.INVALID_CHILD, "ports: no")

    assert seen(failures=(refused,)).state is State.PROGRAMMED


def test_a_proxy_that_is_behind_is_named() -> None:
    behind = seen(policy=policy_state(failure=PolicyFailure("Oversize", "too long"), kept_last_good=True))

    assert "team-a/go keeps its last good file" in condition_of(status(BASE, behind), "Programmed")["message"]
