"""One element of a pattern, the part between two slashes: what it matches, and whether it covers another one.

Coverage is exact: both elements are read as automata over the characters of module paths and walked side by side. Only
an element that would need more than `_MAX_STATES` states falls back to "does not provably cover".

Source: Go's `path.Match`; `module.CheckPath` for the characters. With as many slashes in the text as in the pattern no
class can match one, so that elements can be judged one by one.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

from athens_policy.patterns import Pattern, is_magic, terms

ALPHABET: Final = string.ascii_letters + string.digits + "-._~"
_ALL: Final = (1 << len(ALPHABET)) - 1
_BIT: Final = {character: 1 << index for index, character in enumerate(ALPHABET)}
_HOST: Final = sum(_BIT[character] for character in string.ascii_lowercase + string.digits + "-.")
_DOT, _DASH = _BIT["."], _BIT["-"]
_MAX_STATES: Final = 2_000
_LITERAL: Final = re.compile(r"(?![.])[A-Za-z0-9._~-]*[A-Za-z0-9_~-]")
_LITERAL_HOST: Final = re.compile(r"(?=[^.]*[.])(?![.-])[a-z0-9.-]*[a-z0-9-]")
_PLAIN: Final = re.compile(r"([A-Za-z0-9_~-][A-Za-z0-9._~-]*)?[*]([A-Za-z0-9._~-]*[A-Za-z0-9_~-])?")
_PLAIN_HOST: Final = re.compile(r"([a-z0-9][a-z0-9.-]*)?[*]([a-z0-9.-]*[a-z0-9-])?")
_RICH: Final = re.compile(r"[?\[\\]")
_EDGES: Final = re.compile(r"(?P<prefix>[^*?\[\\]*)(?:.*[*?\[\]\\])?(?P<suffix>[^*?\[\]\\]*)", re.DOTALL)


@dataclass(frozen=True)
class Element:
    """One well-formed element.

    Args:
        text: as written.
    """

    text: str

    @cached_property
    def is_literal(self) -> bool:
        """Whether it matches only itself."""
        return not is_magic(self.text)

    @cached_property
    def is_plain(self) -> bool:
        """Whether one `*` is all that it has of wildcards."""
        return self.text.count("*") == 1 and _RICH.search(self.text) is None

    @cached_property
    def edges(self) -> tuple[str, str]:
        """What everything that it matches begins and ends with; a literal element is both."""
        if self.is_literal:
            return self.text, self.text
        match = _EDGES.fullmatch(self.text)
        return (match["prefix"], match["suffix"]) if match else ("", "")

    def matches(self, text: str) -> bool:
        """Whether it matches one element of a path, which has no slash."""
        return self._pattern.matches_elements(text)

    def covers(self, other: Element) -> bool:
        """Whether it provably matches whatever non-empty text of path characters the other one matches."""
        if self.text in ("*", other.text):
            return True
        if other.is_literal:
            return self.matches(other.text)
        if self.is_plain and other.is_plain:
            return other.edges[0].startswith(self.edges[0]) and other.edges[1].endswith(self.edges[1])
        return not self.is_literal and all(map(self.matches, other.samples)) and _covers(self, other)

    @cached_property
    def tokens(self) -> tuple[int | None, ...]:
        """Per term the set of characters that it takes, as bits of `ALPHABET`, or None for stars in a row."""
        found = [None if term is None else _characters(term) for term in terms(self.text)]
        return tuple(
            token for index, token in enumerate(found) if token is not None or found[index - 1 : index] != [None]
        )

    @cached_property
    def samples(self) -> tuple[str, ...]:
        """Some texts that it matches; none if it matches nothing. Most elements that do not cover it fail on these."""
        if 0 in self.tokens:
            return ()
        filled = [ALPHABET[(token or _BIT["_"]).bit_length() - 1] for token in self.tokens]
        bare = "".join(letter for letter, token in zip(filled, self.tokens, strict=True) if token is not None)
        return tuple(filter(None, ("".join(filled), bare)))

    @cached_property
    def stars(self) -> int:
        """The positions of stars, as bits."""
        return sum(1 << index for index, token in enumerate(self.tokens) if token is None)

    @property
    def shortest(self) -> int:
        """Length of the shortest text it matches."""
        return sum(token is not None for token in self.tokens)

    def can_match(self, *, as_host: bool) -> bool:
        """Whether any element of a module path matches.

        Args:
            as_host: judge it as the first element, which has lower-case letters and at least one dot.

        Source: `module.CheckPath`: no dot at either end, no dash in front of a host.
        """
        if self.is_literal:
            return (_LITERAL_HOST if as_host else _LITERAL).fullmatch(self.text) is not None
        plain = (_PLAIN_HOST if as_host else _PLAIN).fullmatch(self.text) is not None
        return plain or _can_match(self, as_host=as_host)

    def after(self, position: int) -> Iterator[int]:
        """The states that a text leads to when it has been matched up to a position: a star may match nothing."""
        yield position
        if self.stars >> position & 1:
            yield position + 1

    @cached_property
    def _pattern(self) -> Pattern:
        return Pattern(self.text)


def _can_match(judged: Element, *, as_host: bool) -> bool:
    """Walks the element beside the rules for dots."""
    allowed, forbidden_first = (_HOST, _DOT | _DASH) if as_host else (_ALL, _DOT)
    frontier = {(position, False, False, False) for position in judged.after(0)}
    seen = set(frontier)
    while frontier:
        position, begun, dotted, ends_in_dot = frontier.pop()
        if position == len(judged.tokens):
            if begun and not ends_in_dot and (dotted or not as_host):
                return True
            continue
        token = judged.tokens[position]
        taken = (_ALL if token is None else token) & allowed & ~(0 if begun else forbidden_first)
        steps = [(True, True)] * bool(taken & _DOT) + [(dotted, False)] * bool(taken & ~_DOT)
        behind = judged.after(position if token is None else position + 1)
        reached = {(there, True, has_dot, in_dot) for there in behind for has_dot, in_dot in steps} - seen
        seen |= reached
        frontier |= reached
    return False


@lru_cache(maxsize=16_384)
def element(text: str) -> Element:
    """The element, remembered: the same ones are compared again and again.

    Raises:
        InvalidPattern: the text alone is malformed, as half of a class that a slash cuts is.
    """
    made = Element(text)
    if "[" in text or "\\" in text:
        _ = made.tokens
    return made


@lru_cache(maxsize=4_096)
def _characters(expression: str) -> int:
    if len(expression) == 1:
        return _BIT.get(expression, 0)
    matches = re.compile(expression).fullmatch
    return sum(bit for character, bit in _BIT.items() if matches(character))


def _covers(covering: Element, covered: Element) -> bool:
    if 0 in covered.tokens:
        return True  # it matches nothing
    if covering.shortest > max(covered.shortest, 1):
        return False
    sides = (_begins(covering.tokens, covered.tokens), _begins(covering.tokens[::-1], covered.tokens[::-1]))
    if False in sides:
        return False
    return (None not in sides and covering.tokens.count(None) == 1) or _walks(covering, covered)


def _begins(covering: tuple[int | None, ...], covered: tuple[int | None, ...]) -> bool | None:
    """Whether in front of its first star the covering element takes what the covered one gives; None if unclear."""
    for index, token in enumerate(covering):
        if token is None:
            return True
        given = covered[index] if index < len(covered) else 0
        if given is None:
            return None if token == _ALL else False
        if given & ~token:
            return False
    return None


def _walks(covering: Element, covered: Element) -> bool:
    """Walks from every state of the covered element with all states that the covering one can be in meanwhile."""
    letters = [(bit, _takers(covering, bit)) for bit in _letters({*covering.tokens, *covered.tokens})]
    end, accepted = len(covered.tokens), 1 << len(covering.tokens)
    frontier = [(position, _closed(covering, 1)) for position in covered.after(0)]
    seen: set[tuple[int, int]] = set()
    while frontier and len(seen) <= _MAX_STATES:
        position, states = frontier.pop()
        token = covered.tokens[position] if position < end else 0
        for letter, takers in letters:
            if token is not None and not token & letter:
                continue
            reached = _closed(covering, states & covering.stars | (states & takers) << 1)
            behind = {(there, reached) for there in covered.after(position if token is None else position + 1)} - seen
            if not reached & accepted and any(there == end for there, _ in behind):
                return False
            seen |= behind
            frontier += behind
    return not frontier


def _letters(tokens: set[int | None]) -> list[int]:
    """One character for each group that no token tells apart."""
    sets = [token for token in tokens if token is not None]
    groups: dict[int, int] = {}
    for bit in _BIT.values():
        groups.setdefault(sum(1 << index for index, token in enumerate(sets) if bit & token), bit)
    return list(groups.values())


def _takers(judged: Element, letter: int) -> int:
    """The positions that take the character and move on, as bits."""
    return sum(1 << index for index, token in enumerate(judged.tokens) if token is not None and token & letter)


def _closed(judged: Element, states: int) -> int:
    """The states with those behind stars, which may match nothing."""
    return states | (states & judged.stars) << 1
