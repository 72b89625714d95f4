"""Finds blocks that lose against earlier ones or can never match, and leaves the losers out. Nothing here ever blocks.

An `audit` block never makes another one lose, since evaluation goes on behind it.

Source: the operator's API reference, section 4.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from athens_policy.elements import element
from athens_policy.index import PatternIndex
from athens_policy.model import Block
from athens_policy.patterns import Pattern, is_magic
from athens_policy.sources import ConflictClass, RuleConflict, SourcedBlock

_DEVICE: Final = re.compile(r"(?:con|prn|aux|nul|com[1-9]|lpt[1-9])", re.IGNORECASE)
_SHORT_NAME: Final = re.compile(r".*~[0-9]+")


def without_losers(blocks: Iterable[SourcedBlock]) -> tuple[tuple[SourcedBlock, ...], tuple[RuleConflict, ...]]:
    """The blocks that stay, and every conflict, both in the order of the blocks."""
    earlier = _Earlier()
    kept: list[SourcedBlock] = []
    conflicts: list[RuleConflict] = []
    for sourced in blocks:
        conflict = _conflict(sourced, earlier)
        if conflict is not None:
            conflicts.append(conflict)
        if conflict is None or conflict.conflict_class in (ConflictClass.SHADOWED, ConflictClass.UNREACHABLE):
            kept.append(sourced)
            earlier.add(sourced)
    return tuple(kept), tuple(conflicts)


def is_unreachable(pattern: Pattern) -> bool:
    """Whether the pattern provably matches no valid module path. Source: `module.CheckPath`."""
    return any(map(_is_invalid, pattern.elements)) or not all(
        element(text).can_match(as_host=index == 0) for index, text in enumerate(pattern.elements)
    )


def _is_invalid(text: str) -> bool:
    """Whether Windows keeps the name for itself; told of literal elements only."""
    if is_magic(text):
        return False
    stem = text.partition(".")[0]
    return bool(_DEVICE.fullmatch(stem) or _SHORT_NAME.fullmatch(stem))


@dataclass
class _Earlier:
    """The kept blocks that can make a later one lose, by what they have in common with it."""

    same: dict[tuple[str, str, bool], SourcedBlock] = field(default_factory=dict)
    unconditional: PatternIndex[tuple[int, SourcedBlock]] = field(default_factory=PatternIndex)
    count: int = 0

    def add(self, sourced: SourcedBlock) -> None:
        block = sourced.block
        if block.audit:
            return
        self.same.setdefault(_identity(block), sourced)
        if block.versions is None and not block.exact:
            self.unconditional.add(block.pattern, (self.count, sourced))
            self.count += 1

    def covering(self, pattern: Pattern) -> SourcedBlock | None:
        """The first block without `versions` that covers the pattern."""
        first = (found[0] for found in self.unconditional.covering(pattern))
        return min(first, key=_age, default=(0, None))[1]


def _age(candidate: tuple[int, SourcedBlock]) -> int:
    return candidate[0]


def _identity(block: Block) -> tuple[str, str, bool]:
    return (block.pattern.text, block.versions.text if block.versions else "", block.exact)


def _effect(block: Block) -> tuple[object, ...]:
    """What the block does; its name and reason only explain it."""
    return (block.mode, block.download_url, block.min_age_s, block.upstream, block.audit)


def _conflict(sourced: SourcedBlock, earlier: _Earlier) -> RuleConflict | None:
    block = sourced.block
    same = earlier.same.get(_identity(block))
    if same is not None:
        equal = _effect(same.block) == _effect(block)
        return _lost(ConflictClass.DUPLICATE if equal else ConflictClass.CONFLICT, sourced, same)
    if is_unreachable(block.pattern):
        return _lost(ConflictClass.UNREACHABLE, sourced, None)
    covering = earlier.covering(block.pattern)
    return _lost(ConflictClass.SHADOWED, sourced, covering) if covering else None


def _lost(conflict_class: ConflictClass, loser: SourcedBlock, winner: SourcedBlock | None) -> RuleConflict:
    return RuleConflict(
        conflict_class=conflict_class,
        rule=loser.rule,
        pattern=loser.block.pattern.text,
        by=winner.rule if winner else "",
        source=loser.source,
        by_source=winner.source if winner else None,
    )
