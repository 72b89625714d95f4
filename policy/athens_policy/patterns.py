"""Patterns of module paths with the meaning of GOPRIVATE: Go's `path.Match` on as many leading elements as they have.

So `example.com/x` also covers everything below it, `*` covers every path, and `*` never crosses a `/`.

Two ways in: `Pattern.parse` for custom resources, which refuses whatever cannot be meant, and `Pattern.of_file` for
download files, which takes what Athens takes: there a malformed pattern matches nothing.

Source: https://pkg.go.dev/path#Match, `MatchPrefixPatterns` of golang.org/x/mod/module, Athens pkg/paths/path.go.
Paths are ASCII (module.CheckPath), so characters and bytes are the same thing here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final

MAX_LENGTH: Final = 255
_ALLOWED: Final = re.compile(r"[A-Za-z0-9._~*?\[\]^/-]+")
_MAGIC: Final = re.compile(r"[*?\[\\]")
_RICH: Final = re.compile(r"[?\[\\]")
_CLASS_CHARACTER: Final = re.compile(r"\\(?P<escaped>.)|(?P<plain>[^\\\]-])", re.DOTALL)


class InvalidPattern(ValueError):
    """The text cannot be a pattern of a rule; the message says what is allowed."""


@dataclass(frozen=True)
class Pattern:
    """A set of module paths.

    Args:
        text: as written; patterns are equal when their texts are.
    """

    text: str
    malformed: bool = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "malformed", _syntax_problem(self.text) != "")

    @staticmethod
    def parse(text: str) -> Pattern:
        """The pattern of a custom resource's rule.

        Raises:
            InvalidPattern: it is empty or too long, has a character that no module path has, an empty element, the
                wildcard `...`, or an unbalanced class.
        """
        problem = _shape_problem(text) or next(filter(None, map(_syntax_problem, text.split("/"))), "")
        if problem:
            raise InvalidPattern(f"pattern {text[:MAX_LENGTH]!r} {problem}")
        return Pattern(text)

    @staticmethod
    def of_file(text: str) -> Pattern:
        """The pattern of a download file's block: any text, as Athens; a malformed one matches nothing."""
        return Pattern(text)

    @cached_property
    def elements(self) -> tuple[str, ...]:
        """The parts between the slashes."""
        return tuple(self.text.split("/"))

    def matches(self, module_path: str) -> bool:
        """Whether the pattern covers the module path, given unescaped (`github.com/Azure/…`)."""
        leading = leading_elements(module_path, len(self.elements))
        return leading is not None and self.matches_elements(leading)

    def matches_elements(self, leading: str) -> bool:
        """`matches` for callers that cut the path themselves, to exactly as many elements as the pattern has."""
        if self.malformed:
            return False
        if self._affixes is None:
            return self._expression.fullmatch(leading) is not None
        return all(map(_fits, leading.split("/"), self._affixes))

    @cached_property
    def _affixes(self) -> tuple[tuple[str, str | None], ...] | None:
        """Per element what stands before and behind its `*`, or the element and None; None if that says too little.

        Compiling a regular expression takes longer than reading the whole block, and few patterns need one.
        """
        if _RICH.search(self.text) or any(element.count("*") > 1 for element in self.elements):
            return None
        parts = (element.partition("*") for element in self.elements)
        return tuple((head, tail if star else None) for head, star, tail in parts)

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return re.compile(_expression(self.text), re.DOTALL)


def _fits(element: str, affixes: tuple[str, str | None]) -> bool:
    head, tail = affixes
    if tail is None:
        return element == head
    return len(element) >= len(head) + len(tail) and element.startswith(head) and element.endswith(tail)


@lru_cache(maxsize=8192)
def is_magic(text: str) -> bool:
    """Whether the text has a wildcard, a class or an escape."""
    return _MAGIC.search(text) is not None


def leading_elements(module_path: str, count: int) -> str | None:
    """The first `count` elements of the path, joined by `/`; None if it has fewer."""
    end = -1
    for _ in range(count):
        if end == len(module_path):
            return None
        end = module_path.find("/", end + 1)
        if end < 0:
            end = len(module_path)
    return module_path[:end]


def _shape_problem(text: str) -> str:
    if not text:
        return "is empty; write a module path such as example.com/team/*"
    if len(text) > MAX_LENGTH:
        return f"has {len(text)} characters; at most {MAX_LENGTH} are allowed"
    if not _ALLOWED.fullmatch(text):
        return "has a character that no module path has; allowed are letters, digits, . _ ~ - / and * ? [ ] ^"
    if text.startswith("/") or text.endswith("/") or "//" in text:
        return "has an empty element; remove the leading, trailing or doubled slash"
    if "..." in text:
        return "has '...'; write * for one element, and nothing at all for what is below"
    return ""


def _syntax_problem(text: str) -> str:
    if "[" not in text and "\\" not in text:
        return ""
    try:
        _expression(text)
    except InvalidPattern as error:
        return str(error)
    return ""


def _expression(text: str) -> str:
    """The regular expression that matches as `path.Match` does.

    Go never goes back to an earlier `*` once the text behind it has matched; the atomic groups say so. It matters only
    where a class takes in a `/`, which a `*` cannot.

    Raises:
        InvalidPattern: Go would report ErrBadPattern.
    """
    groups: list[str] = []
    chunk, starred, position = "", False, 0
    while position < len(text):
        if text[position] == "*":
            if not starred or chunk:
                groups.append(_group(chunk, starred=starred))
            chunk, starred, position = "", True, position + 1
            continue
        part, position = _term(text, position)
        chunk += part
    if starred and not chunk:
        return "".join(groups) + "[^/]*"
    return "".join(groups) + ("[^/]*?" if starred else "") + chunk


def terms(text: str) -> Iterator[str | None]:
    """The terms of a pattern in order: the expression of what takes one character, None for a `*`.

    Raises:
        InvalidPattern: Go would report ErrBadPattern.
    """
    position = 0
    while position < len(text):
        if text[position] == "*":
            position += 1
            yield None
        else:
            term, position = _term(text, position)
            yield term


def _group(chunk: str, *, starred: bool) -> str:
    return f"(?>[^/]*?{chunk})" if starred else chunk


def _term(text: str, position: int) -> tuple[str, int]:
    """The expression of the term at a position that is no `*`, and where the next term begins."""
    character = text[position]
    if character == "[":
        return _class(text, position + 1)
    if character == "?":
        return "[^/]", position + 1
    if character == "\\":
        position += 1
        if position == len(text):
            raise InvalidPattern("ends in a backslash; write the escaped character behind it")
    return re.escape(text[position]), position + 1


def _class(text: str, position: int) -> tuple[str, int]:
    """The expression of a class, from behind its bracket.

    A range that runs backwards is legal in Go and holds nothing.
    """
    negated = text.startswith("^", position)
    position += negated
    ranges: list[str] = []
    while not (ranges and text.startswith("]", position)):
        low, position = _class_character(text, position)
        high = low
        if text.startswith("-", position):
            high, position = _class_character(text, position + 1)
        ranges.append(f"{re.escape(low)}-{re.escape(high)}" if low <= high else "")
    members = "".join(ranges)
    if not members:  # only backwards ranges: nothing is in the class, everything is in its negation
        return ("." if negated else "(?!)"), position + 1
    return f"[{'^' if negated else ''}{members}]", position + 1


def _class_character(text: str, position: int) -> tuple[str, int]:
    match = _CLASS_CHARACTER.match(text, position)
    if match is None or match.end() == len(text):
        raise InvalidPattern("has an unbalanced or empty character class; close it with ']' or remove '['")
    return match["escaped"] or match["plain"], match.end()
