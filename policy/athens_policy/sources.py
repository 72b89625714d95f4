"""What goes into a merge and what comes out of it: rules and policies of custom resources, the merged file.

Source: the operator's API reference, sections 3 (rules), 4 (tiers, conflict classes) and 5 (status).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from athens_policy.model import Block, DownloadFile, Mode


class Tier(StrEnum):
    """Where a source's rules stand, in the order in which they are asked."""

    MANDATORY = "Mandatory"
    INLINE = "Inline"
    REFERENCED = "Referenced"
    SELECTED = "Selected"
    DEFAULT = "Default"


@dataclass(frozen=True)
class PolicyRule:
    """One rule of a custom resource, texts as the user wrote them; one block per pattern comes of it.

    Args:
        name: DNS label, unique in its policy.
        patterns: at least one.
        mode: what happens to what it covers.
        download_url: for the redirect modes; empty means the policy's.
        versions: version range; empty means all.
        reason: shown to a client that is refused.
        min_age: duration since first seen, such as "72h"; empty means none.
        upstream: GOPROXY chain; empty means the proxy's own.
        audit: count matches, enforce nothing.
        exact: cover the modules of the patterns alone, none below them.
    """

    name: str
    patterns: tuple[str, ...]
    mode: Mode
    download_url: str = ""
    versions: str = ""
    reason: str = ""
    min_age: str = ""
    upstream: str = ""
    audit: bool = False
    exact: bool = False


@dataclass(frozen=True)
class PolicySource:
    """One object that brings rules: a policy of either kind, or the proxy with its inline rules.

    Args:
        kind: AthensProxy, DownloadPolicy or ClusterDownloadPolicy.
        namespace: empty for the cluster kind.
        name: of the object.
        generation: of the object, for status.
        tier: where it stands.
        priority: inside its tier, higher first; counts for nothing among Inline and Referenced.
        rules: in order.
        default_mode: the mode it wants for modules that no rule covers; None if it has no opinion.
        download_url: goes with `default_mode`, and serves its redirect rules that have no own URL.
        audit: every rule counts as an audit rule, and no default is taken.
    """

    kind: str
    namespace: str
    name: str
    generation: int
    tier: Tier
    priority: int
    rules: tuple[PolicyRule, ...]
    default_mode: Mode | None = None
    download_url: str = ""
    audit: bool = False

    @property
    def label(self) -> str:
        """Kind and name with the tier, as comments write it: `DownloadPolicy team-a/base (Selected)`."""
        return f"{self._object} ({self.tier})"

    def rule_label(self, rule: PolicyRule) -> str:
        """The rule with its origin, as comments write it: `DownloadPolicy team-a/base#fresh (Selected)`."""
        return f"{self._object}#{rule.name} ({self.tier})"

    def rule_name(self, rule: PolicyRule) -> str:
        """The rule as clients and status see it: `team-a/base#fresh`, `guard#evil` or `inline#big`."""
        if self.tier is Tier.INLINE:
            return f"inline#{rule.name}"
        return f"{self._place}#{rule.name}"

    @property
    def _place(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def _object(self) -> str:
        return f"{self.kind} {self._place}"


@dataclass(frozen=True)
class SourcedBlock:
    """A block of the merged file and where it comes from.

    Args:
        block: as it is rendered.
        label: `DownloadPolicy team-a/base#fresh (Selected)`.
        rule: `team-a/base#fresh`, also for blocks that carry no name.
        tier: of its source.
        source: position of its source in `MergedPolicy.sources`.
    """

    block: Block
    label: str
    rule: str
    tier: Tier
    source: int


class ConflictClass(StrEnum):
    """How a block loses; Duplicate and Conflict leave it out, the others keep it."""

    DUPLICATE = "Duplicate"
    CONFLICT = "Conflict"
    SHADOWED = "Shadowed"
    UNREACHABLE = "Unreachable"


@dataclass(frozen=True)
class RuleConflict:
    """One block that loses.

    Args:
        conflict_class: how.
        rule: the loser, as `team-a/base#no-evil`.
        pattern: the loser's pattern.
        by: the rule it loses against; empty for Unreachable.
        source: position of the loser's source in `MergedPolicy.sources`.
        by_source: position of the winner's source; None for Unreachable.
    """

    conflict_class: ConflictClass
    rule: str
    pattern: str
    by: str
    source: int
    by_source: int | None


@dataclass(frozen=True)
class SourceSummary:
    """A source as status shows it; `rules` counts the rules it brought, whether or not they lost."""

    kind: str
    namespace: str
    name: str
    generation: int
    tier: Tier
    rules: int


@dataclass(frozen=True)
class MergedPolicy:
    """All sources of one proxy as one file.

    Args:
        mode: for modules that no block covers.
        download_url: goes with `mode`.
        default_source: label of the source that set `mode`; "built-in" if none did.
        blocks: in the order in which they are asked.
        conflicts: in the order of the losing blocks.
        sources: in the order in which they were merged.
    """

    mode: Mode
    download_url: str
    default_source: str
    blocks: tuple[SourcedBlock, ...]
    conflicts: tuple[RuleConflict, ...]
    sources: tuple[SourceSummary, ...]

    @property
    def file(self) -> DownloadFile:
        """The download file without the provenance."""
        return DownloadFile(self.mode, self.download_url, tuple(sourced.block for sourced in self.blocks))
