"""Which policies apply to a proxy, and in which tier. Pure.

A: a policy's selector in the proxy's own namespace. B: the proxy names the policy. C: it names one of another
namespace, which shares it. D: cluster policies by namespace and proxy selectors. Ordering inside the tiers and the
merge itself belong to `athens_policy.merge`.

A proxy can name policies of the namespaced kind only: naming a Mandatory cluster policy would move it behind the team's
own rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from athens_operator.errors import Problem
from athens_operator.policies import (
    CLUSTER_DOWNLOAD_POLICY,
    Enforcement,
    Policy,
    Selector,
    policy_rule,
)
from athens_operator.spec.fields import PolicyRef
from athens_operator.spec.proxy import AthensProxy
from athens_policy.merge import PolicySource, Tier

EVERY_PROXY = Selector()
ORDER = tuple(Tier)


class MissingReason(StrEnum):
    """Why a named policy does not apply; the values are condition reasons."""

    NOT_FOUND = "PolicyNotFound"
    NOT_SHARED = "NotShared"
    REJECTED = "PolicyRejected"


@dataclass(frozen=True, slots=True)
class MissingPolicy:
    """A policy that should apply and cannot.

    Args:
        label: kind and name, as messages write it.
        problems: what is wrong inside it, when it was rejected.
    """

    label: str
    reason: MissingReason
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Attachment:
    """What applies to one proxy: sources for `athens_policy.merge` in tier order, and what could not be used.

    Args:
        policies: the policies behind the sources, for their own status.
    """

    sources: tuple[PolicySource, ...]
    policies: tuple[Policy, ...]
    missing: tuple[MissingPolicy, ...]


def attached(proxy: AthensProxy, policies: Iterable[Policy], namespace_labels: Mapping[str, str]) -> Attachment:
    """The policies of one proxy.

    Args:
        proxy: whose.
        policies: every policy that the operator knows, of both kinds and all namespaces.
        namespace_labels: the labels of the proxy's own namespace.
    """
    known = {policy.key: policy for policy in policies}
    named, missing = _named(proxy, known, namespace_labels)
    taken = {policy.key for policy in named}
    selected = [
        policy for key, policy in known.items() if key not in taken and _selects(policy, proxy, namespace_labels)
    ]
    tiered = [(Tier.REFERENCED, policy) for policy in named]
    tiered += sorted(((_tier(policy), policy) for policy in selected), key=_rank)
    tiered.sort(key=lambda pair: ORDER.index(pair[0]))  # stable: references keep the proxy's order
    rejected = [
        MissingPolicy(policy.label, MissingReason.REJECTED, policy.problems) for _, policy in tiered if policy.problems
    ]
    sources = [*_inline(proxy), *(_source(tier, policy) for tier, policy in tiered if not policy.problems)]
    return Attachment(
        sources=tuple(sorted(sources, key=lambda source: ORDER.index(source.tier))),
        policies=tuple(policy for _, policy in tiered),
        missing=(*missing, *rejected),
    )


def may_attach(policy: Policy, proxy: AthensProxy, namespace_labels: Mapping[str, str]) -> bool:
    """Whether the policy selects the proxy or the proxy names it: a change of either must render the proxy again."""
    return _selects(policy, proxy, namespace_labels) or any(
        policy.key == _key(ref, proxy) for ref in proxy.spec.policy_refs
    )


def _key(ref: PolicyRef, proxy: AthensProxy) -> tuple[str, str, str]:
    return (ref.kind, ref.namespace or proxy.namespace, ref.name)


def _named(
    proxy: AthensProxy, known: Mapping[tuple[str, str, str], Policy], namespace_labels: Mapping[str, str]
) -> tuple[list[Policy], list[MissingPolicy]]:
    found: list[Policy] = []
    missing: list[MissingPolicy] = []
    for key in dict.fromkeys(_key(ref, proxy) for ref in proxy.spec.policy_refs):
        policy = known.get(key)
        label = f"{key[0]} {key[1]}/{key[2]}"
        if policy is None:
            missing.append(MissingPolicy(label, MissingReason.NOT_FOUND))
        elif policy.namespace != proxy.namespace and not policy.reach.share_with.covers(namespace_labels):
            missing.append(MissingPolicy(label, MissingReason.NOT_SHARED))
        else:
            found.append(policy)
    return found, missing


def _selects(policy: Policy, proxy: AthensProxy, namespace_labels: Mapping[str, str]) -> bool:
    reach = policy.reach
    if policy.kind == CLUSTER_DOWNLOAD_POLICY:
        in_reach = reach.namespace_selector is not None and reach.namespace_selector.matches(namespace_labels)
        accepted = proxy.spec.accept_selected_policies or reach.enforcement is Enforcement.MANDATORY
        return in_reach and accepted and (reach.proxy_selector or EVERY_PROXY).matches(proxy.labels)
    return (
        policy.namespace == proxy.namespace
        and proxy.spec.accept_selected_policies
        and reach.proxy_selector is not None
        and reach.proxy_selector.matches(proxy.labels)
    )


def _tier(policy: Policy) -> Tier:
    if policy.kind != CLUSTER_DOWNLOAD_POLICY:
        return Tier.SELECTED
    return Tier.MANDATORY if policy.reach.enforcement is Enforcement.MANDATORY else Tier.DEFAULT


def _rank(tiered: tuple[Tier, Policy]) -> tuple[int, str]:
    policy = tiered[1]
    return (-policy.reach.priority, policy.name)


def _inline(proxy: AthensProxy) -> tuple[PolicySource, ...]:
    download = proxy.spec.download
    if download is None:
        return ()
    return (
        PolicySource(
            kind="AthensProxy",
            namespace=proxy.namespace,
            name=proxy.name,
            generation=proxy.generation,
            tier=Tier.INLINE,
            priority=0,
            rules=tuple(map(policy_rule, download.rules)),
            default_mode=download.default_mode,
            download_url=download.download_url,
        ),
    )


def _source(tier: Tier, policy: Policy) -> PolicySource:
    return PolicySource(
        kind=policy.kind,
        namespace=policy.namespace,
        name=policy.name,
        generation=policy.generation,
        tier=tier,
        priority=policy.reach.priority,
        rules=(*policy.advisory_rules, *policy.own_rules),
        default_mode=policy.content.default_mode,
        download_url=policy.content.download_url,
        audit=policy.content.audit,
    )
