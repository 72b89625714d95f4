"""What is kept of the policy's decisions: hits per rule, a bounded metric, a log line where somebody may ask why.

Answers that are repeated from memory are not decided again, so that a rule that serves is counted less often than it is
used; a rule that refuses or audits is asked every time.
"""

from __future__ import annotations

import logging

from athens_policy.decide import Decision, verdict_of
from athens_policy.model import Block
from athens_proxy.metrics import Metrics
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.policy.enforced import EnforcedPolicy
from athens_proxy.request_id import request_id

_LOG = logging.getLogger(__name__)


def record(policy: EnforcedPolicy, metrics: Metrics, decision: Decision, wanted: ModulePath | ModuleVersion) -> None:
    """Count a decision, and log the rules on trial that matched; a refusal is logged with its answer."""
    policy.count(decision)
    subject = str(wanted) if isinstance(wanted, ModuleVersion) else wanted.text
    for block in decision.audited:
        rule = _name(block)
        metrics.audit(rule)
        metrics.decision(rule, str(block.mode), audit=True)
        _LOG.info("audit rule matched", extra={"rule": rule, "wanted": subject, "request-id": request_id.get()})
    rule = _name(decision.block) if decision.block else "default"
    metrics.decision(rule, str(verdict_of(decision.effect)), audit=False)


def _name(block: Block) -> str:
    return block.name or block.pattern.text
