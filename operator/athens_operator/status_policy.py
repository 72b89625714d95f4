"""The `.status` of a DownloadPolicy or ClusterDownloadPolicy: how far it is enforced, proxy by proxy. Pure.

What each proxy says is taken from that proxy's own status, so a policy and its proxies never disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from athens_operator.conditions import Condition, Verdict, is_true, merged
from athens_operator.policies import CLUSTER_DOWNLOAD_POLICY, Policy
from athens_operator.status_observed import FailureReason
from athens_operator.status_programmed import POLICY_PROGRAMMED, REJECTED, revision_of
from athens_operator.status_progress import READY, RECONCILING, STALLED
from athens_policy.decide import digest
from athens_policy.merge import MergeError, PolicySource, Tier, merge
from athens_policy.render import render

MAX_PROXIES = 100
MAX_EXAMPLES = 20  # of more proxies than that: each entry costs the API server at every edit of the policy
HELD_BY = ("ConfigurationValid", "PoliciesResolved")


class State(StrEnum):
    """What one proxy makes of a policy."""

    PROGRAMMED = "Programmed"
    PROPAGATING = "Propagating"
    HELD = "Held"
    UNKNOWN = "Unknown"


URGENCY = (State.HELD, State.UNKNOWN, State.PROPAGATING, State.PROGRAMMED)


@dataclass(frozen=True, slots=True)
class AttachedProxy:
    """One proxy that a policy applies to, as far as the proxy's status tells.

    Args:
        programmed: pods that enforce the proxy's file, such as `3/3`.
        conflicts: rules of the policy that lose or are shadowed on this proxy.
        available: the proxy has pods that serve.
    """

    namespace: str
    name: str
    state: State
    digest: str
    programmed: str
    conflicts: int
    available: bool


def attached_proxy(policy: Policy, namespace: str, name: str, status: Mapping[str, Any]) -> AttachedProxy:
    """What a proxy's status says about one policy that applies to it."""
    block = status.get("policy") or {}
    conditions = status.get("conditions") or ()
    prefix = f"{policy.namespace}/{policy.name}#" if policy.namespace else f"{policy.name}#"
    conflicts = [found for found in block.get("conflicts") or () if str(found.get("rule", "")).startswith(prefix)]
    return AttachedProxy(
        namespace=namespace,
        name=name,
        state=_state(policy, block, conditions),
        digest=str(block.get("digest", "")),
        programmed=str(block.get("programmed", "")),
        conflicts=len(conflicts),
        available=is_true(conditions, "Available"),
    )


def status_of_policy(
    policy: Policy, proxies: Iterable[AttachedProxy], old: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """The status of one policy.

    Args:
        policy: the object as parsed.
        proxies: every proxy that the policy applies to.
        old: the policy's status before.
        now: the moment of the pass, with a time zone.
    """
    ordered = sorted(proxies, key=lambda proxy: (proxy.namespace, proxy.name))
    shown = ordered if len(ordered) <= MAX_PROXIES else sorted(ordered, key=_urgency)[:MAX_EXAMPLES]
    programmed = sum(proxy.state is State.PROGRAMMED for proxy in ordered)
    accepted, own_digest = _accepted(policy)
    return {
        "observedGeneration": policy.generation,
        **({"digest": own_digest, "revision": revision_of(own_digest)} if own_digest else {}),
        "rules": len(policy.content.rules),
        "attachedProxies": len(ordered),
        "programmedProxies": programmed,
        "summary": f"{programmed}/{len(ordered)}",
        **({"proxies": [_entry(proxy) for proxy in shown]} if shown else {}),
        **({"truncated": True} if len(shown) < len(ordered) else {}),
        "conditions": merged(
            old.get("conditions") or (),
            _conditions(
                accepted, _programmed(ordered, programmed, _reach(policy)), sum(proxy.conflicts for proxy in ordered)
            ),
            generation=policy.generation,
            now=now,
        ),
    }


def _state(policy: Policy, block: Mapping[str, Any], conditions: Sequence[Mapping[str, Any]]) -> State:
    if any(_holds_the_file(entry) for entry in conditions):
        return State.HELD
    current = any(
        (source.get("kind"), source.get("namespace", ""), source.get("name")) == policy.key
        and source.get("generation") == policy.generation
        for source in block.get("sources") or ()
    )
    if not current and not block.get("truncated"):
        return State.PROPAGATING
    if is_true(conditions, POLICY_PROGRAMMED):
        return State.PROGRAMMED
    unknown = any(entry.get("type") == POLICY_PROGRAMMED and entry.get("status") == "Unknown" for entry in conditions)
    return State.UNKNOWN if unknown else State.PROPAGATING


def _holds_the_file(condition: Mapping[str, Any]) -> bool:
    """Whether the condition keeps the last good file in force; a refused child of another kind does not."""
    if condition.get("type") == POLICY_PROGRAMMED:
        return condition.get("status") == "False" and condition.get("reason") == REJECTED
    return (
        condition.get("type") in HELD_BY
        and condition.get("status") == "False"
        and condition.get("reason") != FailureReason.INVALID_CHILD
    )


def _accepted(policy: Policy) -> tuple[Condition, str]:
    """Whether the policy can be rendered by itself, and the digest of the file that this gives."""
    problems = "; ".join(map(str, policy.problems)) or _duplicate(policy)
    if problems:
        reason = "InvalidRule" if policy.problems else "DuplicateRuleName"
        return Condition("Accepted", Verdict.FALSE, reason, problems), ""
    source = PolicySource(
        kind=policy.kind,
        namespace=policy.namespace,
        name=policy.name,
        generation=policy.generation,
        tier=Tier.SELECTED,
        priority=policy.reach.priority,
        rules=policy.own_rules,
        default_mode=policy.content.default_mode,
        download_url=policy.content.download_url,
        audit=policy.content.audit,
    )
    try:
        text = render(merge([source]))
    except MergeError as error:
        return Condition("Accepted", Verdict.FALSE, error.reason, str(error)), ""
    return Condition("Accepted", Verdict.TRUE, "Accepted", "every rule can be rendered"), digest(text.encode())


def _duplicate(policy: Policy) -> str:
    names = [rule.name for rule in policy.content.rules]
    twice = [name for index, name in enumerate(names) if name in names[:index]]
    return f"spec.rules: the name {twice[0]} occurs twice; rename one of the rules" if twice else ""


def _reach(policy: Policy) -> str:
    """Where to look when a policy reaches no proxy."""
    if policy.kind != CLUSTER_DOWNLOAD_POLICY:
        return "see spec.proxySelector, or name it in spec.policyRefs of an AthensProxy"
    if policy.reach.namespace_selector is None:
        return "without spec.namespaceSelector it reaches no namespace; {} reaches all"
    return "see spec.namespaceSelector and spec.proxySelector"


def _programmed(proxies: Sequence[AttachedProxy], programmed: int, reach: str) -> Condition:
    """Whether every attached proxy enforces this generation; `reach` is the advice when there is none."""
    summary = f"{programmed}/{len(proxies)} proxies enforce this generation"
    if not proxies:
        return Condition("Programmed", Verdict.UNKNOWN, "NoTargets", f"no proxy is attached; {reach}")
    for state, verdict, reason, said in (
        (State.HELD, Verdict.FALSE, "Held", "keeps its last good file; see its conditions"),
        (State.PROPAGATING, Verdict.FALSE, "Propagating", "has not taken it up yet"),
        (State.UNKNOWN, Verdict.UNKNOWN, "PodsUnreachable", "has pods that cannot be asked"),
    ):
        behind = [proxy for proxy in proxies if proxy.state is state]
        if behind:
            waiting = state is State.PROPAGATING and not any(proxy.available for proxy in behind)
            message = f"{summary}; {behind[0].namespace}/{behind[0].name} {said}"
            return Condition("Programmed", verdict, "ProxyNotReady" if waiting else reason, message)
    return Condition("Programmed", Verdict.TRUE, "Programmed", summary)


def _conditions(accepted: Condition, programmed: Condition, conflicts: int) -> list[Condition]:
    false = [check for check in (accepted, programmed) if check.status is Verdict.FALSE]
    if false:
        ready = Condition(READY, Verdict.FALSE, false[0].reason, false[0].message)
    else:
        ready = Condition(READY, Verdict.TRUE, programmed.reason, programmed.message)
    conditions = [ready, accepted, programmed]
    if false:
        stuck = accepted.status is Verdict.FALSE or programmed.reason == "Held"
        kind = STALLED if stuck else RECONCILING
        conditions.append(Condition(kind, Verdict.TRUE, false[0].reason, false[0].message))
    if conflicts:
        said = f"{conflicts} rules lose to an earlier rule or are covered by one; see status.policy of the proxies"
        conditions.append(Condition("Conflicted", Verdict.TRUE, "RulesConflict", said))
    return conditions


def _urgency(proxy: AttachedProxy) -> tuple[int, bool]:
    """Sorts proxies by how much they deserve a look."""
    return URGENCY.index(proxy.state), not proxy.conflicts


def _entry(proxy: AttachedProxy) -> dict[str, Any]:
    return {
        "namespace": proxy.namespace,
        "name": proxy.name,
        "state": proxy.state.value,
        **({"digest": proxy.digest} if proxy.digest else {}),
        **({"programmed": proxy.programmed} if proxy.programmed else {}),
        "conflicts": proxy.conflicts,
    }
