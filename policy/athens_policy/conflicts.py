"""Finds blocks that lose against earlier ones or can never match, and leaves the losers out. Nothing here ever blocks.

An `audit` block never makes another one lose, since evaluation goes on behind it.

Source: the operator's API reference, section 4.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from athens_policy.model import Block
from athens_policy.patterns import Pattern, element_covers, is_magic
from athens_policy.sources import ConflictClass, RuleConflict, SourcedBlock

_WILD: Final = re.compile(r"\[\^?[^\]]+\]|[*?]")
_HOST: Final = re.compile(r"[a-z0-9.-]*")
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


def covers(covering: Pattern, covered: Pattern) -> bool:
    """Whether the first pattern provably matches every path that the second one matches, element by element."""
    return len(covering.elements) <= len(covered.elements) and all(
        map(element_covers, covering.elements, covered.elements)
    )


def is_unreachable(pattern: Pattern) -> bool:
    """Whether the pattern provably matches no valid module path. Source: `module.CheckPath`."""
    host = pattern.elements[0]
    spelled = _WILD.sub("", host)
    if not _HOST.fullmatch(spelled) or host.startswith("-") or (not is_magic(host) and "." not in host):
        return True
    return any(map(_is_invalid_element, pattern.elements))


def _is_invalid_element(element: str) -> bool:
    """Whether no element of a module path can match; exact for literal ones, careful with wildcards."""
    if element.startswith(".") or element.endswith("."):
        return True
    if is_magic(element):
        return False
    stem = element.partition(".")[0]
    return bool(_DEVICE.fullmatch(stem) or _SHORT_NAME.fullmatch(stem))


@dataclass
class _Earlier:
    """The kept blocks that can make a later one lose, by what they have in common with it."""

    same: dict[tuple[str, str], SourcedBlock] = field(default_factory=dict)
    by_literal_prefix: dict[str, list[tuple[int, SourcedBlock]]] = field(default_factory=dict)
    count: int = 0

    def add(self, sourced: SourcedBlock) -> None:
        block = sourced.block
        if block.audit:
            return
        self.same.setdefault(_identity(block), sourced)
        if block.versions is None:
            candidates = self.by_literal_prefix.setdefault(block.pattern.literal_prefix, [])
            candidates.append((self.count, sourced))
            self.count += 1

    def covering(self, pattern: Pattern) -> SourcedBlock | None:
        """The first block without `versions` that covers the pattern."""
        found = [
            next((candidate for candidate in candidates if covers(candidate[1].block.pattern, pattern)), None)
            for candidates in self._sharing(pattern)
        ]
        return min((candidate for candidate in found if candidate), key=_age, default=(0, None))[1]

    def _sharing(self, pattern: Pattern) -> Iterator[list[tuple[int, SourcedBlock]]]:
        """Blocks whose literal leading elements the pattern has too; no other one can cover it."""
        for count in range(len(pattern.elements) + 1):
            yield self.by_literal_prefix.get("/".join(pattern.elements[:count]), [])


def _age(candidate: tuple[int, SourcedBlock]) -> int:
    return candidate[0]


def _identity(block: Block) -> tuple[str, str]:
    return (block.pattern.text, block.versions.text if block.versions else "")


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
