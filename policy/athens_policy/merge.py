"""Merges the policies that apply to one proxy into one download file. Merging is concatenation in tier order.

Names, not creation times, break ties: the same objects give the same bytes in every cluster.

Source: the operator's API reference, sections 4.2 (tiers), 4.3 (default), 4.5 (what blocks) and 4.6 (names).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, TypeVar

from athens_policy import durations
from athens_policy.addresses import chain_problem, url_problem
from athens_policy.conflicts import without_losers
from athens_policy.model import ATHENS_MODES, MAX_BLOCKS, MAX_BYTES, REDIRECT_MODES, Block, Mode
from athens_policy.patterns import Pattern
from athens_policy.render import render
from athens_policy.sources import (
    ConflictClass,
    MergedPolicy,
    PolicyRule,
    PolicySource,
    RuleConflict,
    SourcedBlock,
    SourceSummary,
    Tier,
)
from athens_policy.texts import reason_problem
from athens_policy.versions import VersionRange

__all__ = [
    "BUILT_IN",
    "ConflictClass",
    "MergeError",
    "MergedPolicy",
    "PolicyRule",
    "PolicySource",
    "RuleConflict",
    "SourceSummary",
    "SourcedBlock",
    "Tier",
    "merge",
]

BUILT_IN: Final = "built-in"
_TIERS: Final = tuple(Tier)
_RULE_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_OBJECT_NAME: Final = re.compile(r"[A-Za-z0-9.-]{0,253}")
_WITHOUT_MIN_AGE: Final = (Mode.DENY, Mode.NONE)
_WITHOUT_UPSTREAM: Final = (Mode.DENY, Mode.NONE, Mode.REDIRECT)
_SHOWN_PROBLEMS: Final = 5

T = TypeVar("T")


class MergeError(Exception):
    """The sources cannot become a file; the last good file should stay in force.

    Args:
        reason: the condition reason.
        problems: one line each, naming the rule and the fix.
    """

    def __init__(
        self, reason: Literal["Oversize", "InvalidRule", "RedirectLoop", "PrivateUpstream"], problems: Sequence[str]
    ) -> None:
        shown = "; ".join(problems[:_SHOWN_PROBLEMS])
        hidden = len(problems) - _SHOWN_PROBLEMS
        self.message = f"{shown}; and {hidden} more" if hidden > 0 else shown
        super().__init__(self.message)
        self.reason = reason
        self.problems = tuple(problems)


def merge(sources: Iterable[PolicySource]) -> MergedPolicy:
    """The one file of a proxy.

    Args:
        sources: in any order, except that Referenced ones keep theirs.

    Raises:
        MergeError: `InvalidRule`, with every rule that cannot be rendered, or `Oversize`.
    """
    ordered = _ordered(sources)
    problems = [problem for source in ordered if (problem := _identity_problem(source))]
    if problems:
        raise MergeError("InvalidRule", problems)
    blocks = [
        sourced
        for position, source in enumerate(ordered)
        for rule in source.rules
        for sourced in _blocks(position, source, rule, problems)
    ]
    mode, download_url, default_source = _default(ordered, problems)
    if problems:
        raise MergeError("InvalidRule", problems)
    kept, conflicts = without_losers(blocks)
    merged = MergedPolicy(mode, download_url, default_source, kept, conflicts, tuple(map(_summary, ordered)))
    _check_size(merged)
    return merged


def _ordered(sources: Iterable[PolicySource]) -> list[PolicySource]:
    def rank(source: PolicySource) -> tuple[int, int, str, str, str]:
        tier = _TIERS.index(source.tier)
        if source.tier is Tier.REFERENCED:
            return (tier, 0, "", "", "")  # sorting is stable, so these keep the proxy's order
        return (tier, -source.priority, source.name, source.namespace, source.kind)

    return sorted(sources, key=rank)


def _identity_problem(source: PolicySource) -> str:
    """Why the source cannot be named in a comment; Kubernetes has refused such a name already."""
    named = (source.kind, source.namespace, source.name)
    if all(_OBJECT_NAME.fullmatch(text) for text in named):
        return ""
    return f"{' '.join(repr(text[:63]) for text in named)} is not the name of an object; rename it"


def _default(ordered: Iterable[PolicySource], problems: list[str]) -> tuple[Mode, str, str]:
    """Mode and URL as a pair from the first source that sets a mode; audit policies never supply them."""
    source = next((source for source in ordered if source.default_mode is not None and not source.audit), None)
    if source is None or source.default_mode is None:
        return Mode.SYNC, "", BUILT_IN
    if source.default_mode not in ATHENS_MODES:
        problems.append(f"{source.label}: defaultMode {source.default_mode} is for rules only; write a rule for '*'")
    _check_url(source.download_url, source.default_mode, f"{source.label}: downloadURL", problems)
    return source.default_mode, source.download_url, source.label


def _blocks(position: int, source: PolicySource, rule: PolicyRule, problems: list[str]) -> list[SourcedBlock]:
    """One block per pattern; problems of the rule are added to the list."""
    label, name = source.rule_label(rule), source.rule_name(rule)
    mark = len(problems)
    if not _RULE_NAME.fullmatch(rule.name):
        problems.append(f"{source.label}: rule name {rule.name[:63]!r} is not a DNS label; write lower-case-words")
    template = _template(source, rule, label, problems)
    blocks = [
        SourcedBlock(template(pattern), label, name, source.tier, position)
        for text in rule.patterns
        if (pattern := _parsed(Pattern.parse, text, f"{label}: patterns:", problems)) is not None
    ]
    if not rule.patterns:
        problems.append(f"{label}: patterns is empty; write at least one module path pattern")
    return blocks if len(problems) == mark else []


def _template(source: PolicySource, rule: PolicyRule, label: str, problems: list[str]) -> Callable[[Pattern], Block]:
    """A maker of the rule's blocks, which differ in the pattern alone."""
    audit = rule.audit or source.audit
    download_url = (rule.download_url or source.download_url) if rule.mode in REDIRECT_MODES else ""
    min_age_s = _parsed(durations.parse_seconds, rule.min_age, f"{label}: minAge:", problems) if rule.min_age else None
    versions = _parsed(VersionRange.parse, rule.versions, f"{label}: versions:", problems) if rule.versions else None
    _check_rule(rule, download_url, label, problems)
    refuses = rule.mode is Mode.DENY or min_age_s is not None or audit

    def block(pattern: Pattern) -> Block:
        return Block(
            pattern,
            rule.mode,
            download_url=download_url,
            versions=versions,
            min_age_s=min_age_s,
            upstream=rule.upstream,
            exact=rule.exact,
            audit=audit,
            name=source.rule_name(rule) if refuses else "",
            reason=rule.reason if refuses else "",
        )

    return block


def _check_rule(rule: PolicyRule, download_url: str, label: str, problems: list[str]) -> None:
    _check_url(download_url, rule.mode, f"{label}: downloadURL", problems)
    if rule.min_age and rule.mode in _WITHOUT_MIN_AGE:
        problems.append(f"{label}: minAge has no meaning with mode {rule.mode}; remove one of them")
    if rule.upstream and rule.mode in _WITHOUT_UPSTREAM:
        problems.append(f"{label}: upstream has no meaning with mode {rule.mode}; remove one of them")
    chain = chain_problem(rule.upstream, with_user_info=False) if rule.upstream else ""
    if chain:
        problems.append(f"{label}: upstream {chain}")
    reason = reason_problem(rule.reason)
    if reason:
        problems.append(f"{label}: reason {reason}")


def _check_url(download_url: str, mode: Mode, field: str, problems: list[str]) -> None:
    if not download_url and mode in REDIRECT_MODES:
        problems.append(f"{field} is missing, and mode {mode} needs it; write https://host/path")
    elif download_url and (problem := url_problem(download_url, with_user_info=False)):
        problems.append(f"{field} {problem}")


def _parsed(parse: Callable[[str], T], text: str, field: str, problems: list[str]) -> T | None:
    """What `parse` makes of the text; None, with a problem added, if it refuses."""
    try:
        return parse(text)
    except ValueError as error:
        problems.append(f"{field} {error}")
        return None


def _summary(source: PolicySource) -> SourceSummary:
    return SourceSummary(source.kind, source.namespace, source.name, source.generation, source.tier, len(source.rules))


def _check_size(merged: MergedPolicy) -> None:
    if len(merged.blocks) > MAX_BLOCKS:
        raise MergeError("Oversize", [f"{len(merged.blocks)} blocks; at most {MAX_BLOCKS} are allowed: merge patterns"])
    size_bytes = len(render(merged).encode())
    if size_bytes > MAX_BYTES:
        raise MergeError("Oversize", [f"{size_bytes} bytes; at most {MAX_BYTES} are allowed: use fewer rules"])
