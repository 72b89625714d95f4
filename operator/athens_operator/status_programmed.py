"""Whether the pods enforce the wanted download file: the condition PolicyProgrammed and `status.policy`. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from athens_operator.conditions import Condition, Verdict, held_for, parsed_timestamp
from athens_operator.manifests import Manifest, Ref
from athens_operator.spec.proxy import AthensProxy
from athens_operator.status_observed import Observed, PolicyState, Readback
from athens_operator.status_pods import is_serving
from athens_policy.merge import MergedPolicy

POLICY_PROGRAMMED = "PolicyProgrammed"
REJECTED = "RejectedByProxy"
LAG_AFTER = timedelta(minutes=2)
MAX_LAGGING, MAX_SOURCES, MAX_CONFLICTS = 10, 64, 50


@dataclass(frozen=True, slots=True)
class Enforcement:
    """How far the file has come.

    Args:
        wanted: pods that are wanted.
        serving: pods that get requests.
        programmed: serving pods that report the wanted digest.
        behind: the other serving pods that were asked, by name.
    """

    wanted: int
    serving: tuple[Manifest, ...]
    programmed: int
    behind: Mapping[str, Readback]

    @property
    def summary(self) -> str:
        """Programmed of wanted pods, such as `3/3`."""
        return f"{self.programmed}/{self.wanted}"


def enforcement_of(proxy: AthensProxy, observed: Observed) -> Enforcement:
    """What the serving pods said about the digest that is wanted."""
    serving = tuple(pod for pod in observed.pods if is_serving(pod))
    answers = {name: observed.readback[name] for name in map(_name, serving) if name in observed.readback}
    digest = observed.policy.digest
    behind = {name: answer for name, answer in sorted(answers.items()) if answer.digest != digest}
    return Enforcement(_wanted(proxy, observed), serving, len(answers) - len(behind), behind)


def _wanted(proxy: AthensProxy, observed: Observed) -> int:
    """How many pods are wanted now; with an autoscaler that is what it wrote into the Deployment."""
    if proxy.spec.autoscaling is None:
        return proxy.spec.replicas
    deployment = observed.children.get(Ref("apps/v1", "Deployment", proxy.namespace, proxy.name), {})
    return int(deployment.get("spec", {}).get("replicas", proxy.spec.least_replicas))


def policy_programmed(
    observed: Observed, enforcement: Enforcement, old: Sequence[Mapping[str, Any]], now: datetime
) -> Condition | None:
    """Whether every serving pod enforces the wanted file; None while there is no file."""
    if observed.policy.text is None:
        return None
    if not enforcement.wanted and not enforcement.serving:
        return Condition(POLICY_PROGRAMMED, Verdict.TRUE, "ScaledToZero", "there is no pod to program")
    if not observed.readback_enabled:
        return _unknown(
            "ReadbackDisabled", "pods are not asked: read-back is switched off, or the operator may not read pods"
        )
    rejected = _rejection(observed.policy.digest, enforcement)
    if rejected is not None:
        return rejected
    unreachable = {name: answer for name, answer in enforcement.behind.items() if not answer.digest}
    if unreachable:
        name, answer = next(iter(unreachable.items()))
        return _unknown(
            "PodsUnreachable",
            f"pod {name} cannot be asked: {answer.error or 'no answer'}; admit the operator to port 3000",
        )
    return _progress(observed, enforcement, old, now)


def policy_block(
    proxy: AthensProxy, observed: Observed, enforcement: Enforcement, old: Mapping[str, Any]
) -> dict[str, Any] | None:
    """`status.policy`; None while there is no file.

    Args:
        proxy: whose.
        observed: what this pass learnt.
        enforcement: how far the file has come.
        old: the block of the old status; its sources stand for a kept file whose merge is no longer known.
    """
    policy = observed.policy
    if policy.text is None:
        return None
    block: dict[str, Any] = {
        "digest": policy.digest,
        "revision": revision_of(policy.digest),
        "programmed": enforcement.summary,
        "bytes": len(policy.text.encode()),
    }
    lagging = [
        {"pod": name, "digest": answer.digest or "unreachable", **({"error": answer.error} if answer.error else {})}
        for name, answer in enforcement.behind.items()
    ]
    if lagging:
        block["lagging"] = lagging[:MAX_LAGGING]
    return block | _origin(policy, old)


def revision_of(digest: str) -> str:
    """The first eight hex digits of a digest `sha256:<hex>`, which fit into a column."""
    return digest.removeprefix("sha256:")[:8]


def is_late(observed: Observed, old: Sequence[Mapping[str, Any]], now: datetime, limit: timedelta) -> bool:
    """Whether the wanted digest has been on its way to the pods for longer than `limit`.

    A second edit starts the clock again, and so does a pod that comes up long after the last one.
    """
    on_its_way = held_for(old, POLICY_PROGRAMMED, Verdict.FALSE, now)
    if observed.policy.applied_at is not None:
        on_its_way = min(on_its_way, now - observed.policy.applied_at)
    return on_its_way > limit


def _progress(
    observed: Observed, enforcement: Enforcement, old: Sequence[Mapping[str, Any]], now: datetime
) -> Condition:
    serving = len(enforcement.serving)
    if serving and enforcement.programmed == serving:
        return Condition(POLICY_PROGRAMMED, Verdict.TRUE, "Programmed", enforcement.summary)
    behind = next(iter(enforcement.behind), "")
    ready_since = {_name(pod): _ready_since(pod, now) for pod in enforcement.serving}
    if behind and is_late(observed, old, now, LAG_AFTER) and now - ready_since[behind] > LAG_AFTER:
        return _false(
            "PodLagging",
            f"{enforcement.summary}: pod {behind} still enforces {revision_of(enforcement.behind[behind].digest)}; "
            "if it stays behind, delete the pod",
        )
    return _false("Propagating", f"{enforcement.summary} pods enforce policy {revision_of(observed.policy.digest)}")


def _rejection(digest: str, enforcement: Enforcement) -> Condition | None:
    for name, answer in enforcement.behind.items():
        if answer.digest and answer.error and answer.refused in ("", digest):
            return _false(
                REJECTED,
                f"pod {name} refuses the file: {answer.error}; its image does not fit this operator, correct "
                "spec.image or spec.version",
            )
    return None


def _origin(policy: PolicyState, old: Mapping[str, Any]) -> dict[str, Any]:
    """What the file was made of, as far as that is still known."""
    merged = policy.merged
    if merged is None:
        known = ("defaultMode", "rules", "sources", "conflicts", "truncated")
        return {key: old[key] for key in known if key in old and old.get("digest") == policy.digest}
    origin: dict[str, Any] = {
        "defaultMode": merged.mode.value,
        "rules": len(merged.blocks),
        "sources": _sources(merged)[:MAX_SOURCES],
    }
    conflicts = _conflicts(merged)
    if conflicts:
        origin["conflicts"] = conflicts[:MAX_CONFLICTS]
    if len(conflicts) > MAX_CONFLICTS or len(merged.sources) > MAX_SOURCES:
        origin["truncated"] = True
    return origin


def _sources(merged: MergedPolicy) -> list[dict[str, Any]]:
    return [
        {
            "kind": source.kind,
            **({"namespace": source.namespace} if source.namespace else {}),
            "name": source.name,
            "generation": source.generation,
            "tier": source.tier.value,
            "rules": source.rules,
        }
        for source in merged.sources
    ]


def _conflicts(merged: MergedPolicy) -> list[dict[str, str]]:
    return [
        {"class": found.conflict_class.value, "rule": found.rule, "pattern": found.pattern, "by": found.by}
        for found in merged.conflicts
    ]


def _ready_since(pod: Manifest, now: datetime) -> datetime:
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition.get("type") == "Ready":
            return parsed_timestamp(condition.get("lastTransitionTime"), now)
    return now


def _name(pod: Manifest) -> str:
    return str(pod["metadata"]["name"])


def _false(reason: str, message: str) -> Condition:
    return Condition(POLICY_PROGRAMMED, Verdict.FALSE, reason, message)


def _unknown(reason: str, message: str) -> Condition:
    return Condition(POLICY_PROGRAMMED, Verdict.UNKNOWN, reason, message)
