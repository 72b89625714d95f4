"""Finds among many patterns those that match a path, or cover another pattern, without asking each of them.

A tree over the elements of the patterns. Elements that match only themselves are looked up; those with wildcards are
grouped by what they begin and end with, so that only groups that fit are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from athens_policy.elements import Element, element
from athens_policy.patterns import InvalidPattern, Pattern

T = TypeVar("T")


@dataclass
class _Node(Generic[T]):
    """What is known after some elements; `values` belong to patterns that end here."""

    values: list[T] = field(default_factory=list)
    literal: dict[str, _Node[T]] = field(default_factory=dict)
    wild: dict[tuple[int, int], dict[tuple[str, str], dict[str, tuple[Element, _Node[T]]]]] = field(
        default_factory=dict
    )

    def child(self, made: Element) -> _Node[T]:
        if made.is_literal:
            return self.literal.setdefault(made.text, _Node())
        prefix, suffix = made.edges
        group = self.wild.setdefault((len(prefix), len(suffix)), {}).setdefault((prefix, suffix), {})
        return group.setdefault(made.text, (made, _Node()))[1]

    def fitting(self, edges: tuple[str, str], fits: Callable[[Element], bool]) -> Iterator[_Node[T]]:
        """The nodes behind wildcards that fit, given what the text begins and ends with."""
        begin, end = edges
        for (before, behind), groups in self.wild.items():
            if before <= len(begin) and behind <= len(end):
                group = groups.get((begin[:before], end[len(end) - behind :]), {})
                yield from (node for made, node in group.values() if fits(made))


class PatternIndex(Generic[T]):
    """Values by pattern.

    A malformed pattern matches nothing and is left out. A class with a slash in it, which only a file can have, is
    asked on its own.
    """

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._whole: list[tuple[Pattern, T]] = []

    def add(self, pattern: Pattern, value: T) -> None:
        """Keep the value; those of equal patterns keep their order."""
        if pattern.malformed:
            return
        try:
            made = [element(text) for text in pattern.elements]
        except InvalidPattern:
            self._whole.append((pattern, value))
            return
        node = self._root
        for part in made:
            node = node.child(part)
        node.values.append(value)

    def matching(self, module_path: str) -> list[T]:
        """The values of all patterns that match the path, in no order."""
        found = [value for pattern, value in self._whole if pattern.matches(module_path)]
        nodes = [self._root]
        for text in module_path.split("/"):
            nodes = [child for node in nodes for child in _matching(node, text)]
            if not nodes:
                break
            for node in nodes:
                found += node.values
        return found

    def covering(self, pattern: Pattern) -> Iterator[list[T]]:
        """The values of all patterns that provably match whatever this one matches; per pattern, in order."""
        nodes = [self._root]
        for made in map(element, pattern.elements):
            nodes = [child for node in nodes for child in _covering(node, made)]
            yield from (node.values for node in nodes if node.values)


def _matching(node: _Node[T], text: str) -> Iterator[_Node[T]]:
    literal = node.literal.get(text)
    if literal is not None:
        yield literal
    if node.wild:
        yield from node.fitting((text, text), lambda made: made.matches(text))


def _covering(node: _Node[T], made: Element) -> Iterator[_Node[T]]:
    literal = node.literal.get(made.text)
    if literal is not None:
        yield literal
    if node.wild:
        yield from node.fitting(made.edges, lambda other: other.covers(made))


def covers(covering: Pattern, covered: Pattern) -> bool:
    """Whether the first pattern provably matches every path that the second one matches, element by element."""
    index: PatternIndex[None] = PatternIndex()
    index.add(covering, None)
    return any(index.covering(covered))


def in_order(found: Sequence[tuple[int, T]]) -> tuple[T, ...]:
    """The values by their position."""
    return tuple(value for _, value in sorted(found, key=_position))


def _position(found: tuple[int, object]) -> int:
    return found[0]
