"""Which module versions change their verdict from one policy to another. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from athens_cli.explain import Explainer, Question
from athens_policy.decide import verdict_of


def changes(before: Explainer, after: Explainer, modules: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """One row for each module version whose verdict or rule differs, in the given order."""
    rows = []
    for module, version in modules:
        question = Question(module, version)
        was, will = before.decision(question), after.decision(question)
        row = {
            "module": module,
            "version": version,
            "before": str(verdict_of(was.effect)),
            "after": str(verdict_of(will.effect)),
            "ruleBefore": before.rule_of(was),
            "ruleAfter": after.rule_of(will),
            "reason": will.block.reason if will.block else "",
        }
        if was.effect != will.effect or was.upstream != will.upstream:
            rows.append(row)
    return rows
