"""Findings as SARIF 2.1.0, which code review tools show beside the lines.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from athens_cli.lint import Finding


def sarif(findings: Sequence[Finding]) -> dict[str, Any]:
    """The log of one run."""
    kinds = sorted({finding.kind for finding in findings})
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "kubectl-athens", "rules": [{"id": kind} for kind in kinds]}},
                "results": [_result(finding, kinds.index(finding.kind)) for finding in findings],
            }
        ],
    }


def _result(finding: Finding, index: int) -> dict[str, Any]:
    place = {"artifactLocation": {"uri": finding.file}, "region": {"startLine": finding.line}}
    return {
        "ruleId": finding.kind,
        "ruleIndex": index,
        "level": str(finding.severity),
        "message": {"text": f"{finding.subject}: {finding.path}: {finding.message}"},
        "locations": [{"physicalLocation": place}],
    }
