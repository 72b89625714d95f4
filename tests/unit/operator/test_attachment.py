"""Which policies apply to a proxy: by selector, by reference, across namespaces, from the cluster."""

from __future__ import annotations

from typing import Any

import pytest

from athens_operator.attachment import Attachment, MissingReason, attached, may_attach
from athens_operator.policies import Policy, Selector
from athens_operator.spec import AthensProxy
from support.operator_values import policy_value, proxy_value, rule

HERE = {"kubernetes.io/metadata.name": "team-a", "stage": "prod"}


def names(found: Attachment) -> list[tuple[str, str]]:
    return [(source.tier.value, source.name) for source in found.sources]


def attach(proxy: AthensProxy, *policies: Policy) -> Attachment:
    return attached(proxy, policies, HERE)


def cluster(name: str, enforcement: str = "Mandatory", **spec: Any) -> Policy:
    whole = {"namespaceSelector": {}, "enforcement": enforcement, **spec}
    return policy_value(name, kind="ClusterDownloadPolicy", **whole)


def test_a_selector_reaches_proxies_of_its_own_namespace() -> None:
    near, far = policy_value("near"), policy_value("far", namespace="team-b")

    assert names(attach(proxy_value(), near, far)) == [("Selected", "near")]


def test_a_policy_without_a_selector_applies_by_reference_only() -> None:
    quiet = policy_value("quiet", proxySelector=None)

    assert names(attach(proxy_value(), quiet)) == []
    assert names(attach(proxy_value({"policyRefs": [{"name": "quiet"}]}), quiet)) == [("Referenced", "quiet")]


def test_tiers_come_in_order_whatever_the_order_of_arrival() -> None:
    proxy = proxy_value({"download": {"rules": [rule()]}, "policyRefs": [{"name": "named"}]})
    policies = [
        cluster("last", "Default"),
        policy_value("selected"),
        policy_value("named"),
        cluster("first"),
    ]
    expected = [
        ("Mandatory", "first"),
        ("Inline", "go"),
        ("Referenced", "named"),
        ("Selected", "selected"),
        ("Default", "last"),
    ]

    assert names(attach(proxy, *policies)) == expected
    assert names(attach(proxy, *reversed(policies))) == expected


def test_a_named_policy_appears_once_and_in_the_order_of_the_proxy() -> None:
    proxy = proxy_value({"policyRefs": [{"name": "b"}, {"name": "a"}, {"name": "b", "namespace": "team-a"}]})

    assert names(attach(proxy, policy_value("a"), policy_value("b"))) == [("Referenced", "b"), ("Referenced", "a")]


def test_priority_then_name_order_the_policies_of_a_tier() -> None:
    found = attach(proxy_value(), policy_value("b"), policy_value("a"), policy_value("z", priority=5))

    assert [policy.name for policy in found.policies] == ["z", "a", "b"]


@pytest.mark.parametrize(
    ("share_with", "reason"),
    [
        ({}, MissingReason.NOT_SHARED),
        ({"from": "Same"}, MissingReason.NOT_SHARED),
        ({"from": "All"}, None),
        ({"from": "Selector", "namespaceSelector": {"matchLabels": {"stage": "prod"}}}, None),
        ({"from": "Selector", "namespaceSelector": {"matchLabels": {"stage": "test"}}}, MissingReason.NOT_SHARED),
    ],
)
def test_a_policy_of_another_namespace_applies_when_both_sides_agree(
    share_with: dict[str, Any], reason: MissingReason | None
) -> None:
    proxy = proxy_value({"policyRefs": [{"name": "shared", "namespace": "platform"}]})
    found = attach(proxy, policy_value("shared", namespace="platform", shareWith=share_with))

    assert [missing.reason for missing in found.missing] == ([reason] if reason else [])
    assert names(found) == ([] if reason else [("Referenced", "shared")])


def test_a_policy_that_is_named_and_absent_is_reported() -> None:
    found = attach(proxy_value({"policyRefs": [{"name": "gone"}]}))

    assert [(missing.label, missing.reason) for missing in found.missing] == [
        ("DownloadPolicy team-a/gone", MissingReason.NOT_FOUND)
    ]


def test_cluster_policies_need_a_namespace_selector_and_may_narrow_by_proxy() -> None:
    nowhere = cluster("nowhere", namespaceSelector=None)
    elsewhere = cluster("elsewhere", namespaceSelector={"matchLabels": {"stage": "test"}})
    other_proxies = cluster("others", proxySelector={"matchLabels": {"tier": "x"}})
    everywhere = cluster("everywhere", proxySelector=None)

    assert names(attach(proxy_value(), nowhere, elsewhere, other_proxies, everywhere)) == [("Mandatory", "everywhere")]


def test_a_proxy_can_refuse_selectors_but_not_the_mandatory_tier() -> None:
    proxy = proxy_value({"acceptSelectedPolicies": False})

    assert names(attach(proxy, policy_value("team"), cluster("must"), cluster("may", "Default"))) == [
        ("Mandatory", "must")
    ]


def test_a_policy_that_cannot_be_read_is_missing_and_still_attached() -> None:
    broken = policy_value("broken", rules=[rule(mode="bogus")])
    found = attach(proxy_value(), broken)

    assert names(found) == []
    assert [(missing.label, missing.reason) for missing in found.missing] == [
        ("DownloadPolicy team-a/broken", MissingReason.REJECTED)
    ]
    assert found.policies == (broken,)


def test_a_change_of_a_policy_concerns_the_proxies_it_selects_and_those_that_name_it() -> None:
    named = proxy_value({"policyRefs": [{"name": "quiet"}]})
    quiet = policy_value("quiet", proxySelector=None)

    assert may_attach(quiet, named, HERE)
    assert not may_attach(quiet, proxy_value(), HERE)
    assert may_attach(policy_value(), proxy_value(), HERE)


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        ({}, {}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "2"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, {"a": "2"}, True),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {"a": "1"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": ""}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": ""}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Near"}]}, {"a": ""}, False),
    ],
)
def test_selectors_match_as_in_kubernetes(selector: dict[str, Any], labels: dict[str, str], *, matches: bool) -> None:
    assert Selector.model_validate(selector).matches(labels) is matches
