"""What pods enforce with `onError: FailClosed` while a policy of theirs is missing or wrong. Pure."""

from __future__ import annotations

from athens_operator.spec import AthensProxy
from athens_policy.merge import MergedPolicy, PolicyRule, PolicySource, Tier, merge
from athens_policy.model import Mode

RULE_NAME = "fail-closed"
REASON = "a policy of this proxy is missing or wrong, and spec.onError is FailClosed"


def closed_policy(proxy: AthensProxy) -> MergedPolicy:
    """A file that refuses every module, stored or not, and says why."""
    rule = PolicyRule(RULE_NAME, ("*",), Mode.DENY, reason=REASON)
    source = PolicySource(
        kind="AthensProxy",
        namespace=proxy.namespace,
        name=proxy.name,
        generation=proxy.generation,
        tier=Tier.INLINE,
        priority=0,
        rules=(rule,),
        default_mode=Mode.NONE,
    )
    return merge([source])
