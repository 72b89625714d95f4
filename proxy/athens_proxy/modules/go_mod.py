"""What a go.mod says about its module's other versions: retractions, and whether the module is deprecated; pure.

Lenient as the go command is with the files of dependencies: what is not understood says nothing.

Source: https://go.dev/ref/mod#go-mod-file-retract, https://go.dev/ref/mod#go-mod-file-module-deprecation;
golang.org/x/mod/modfile (read.go for comments and tokens, rule.go parseVersionInterval, parseDeprecation)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from athens_policy import semver

MAX_BYTES: Final = 16 * 1024 * 1024  # as the go command takes
_TOKEN: Final = re.compile(
    r"""
    (?P<comment> //.* )
  | "(?P<quoted> (?:[^"\\\n]|\\.)* )"
  | `(?P<raw> [^`]* )`
  | (?P<sign> => | [()\[\],] )
  | (?P<word> (?: (?!//) [^\s"`()\[\],] )+ )
    """,
    re.VERBOSE,
)
_DEPRECATED: Final = re.compile(r"(?:^|\n\n)Deprecated: *(.*?)(?:$|\n\n)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Retraction:
    """Versions that their author takes back, both ends included; `rationale` may be ""."""

    low: str
    high: str
    rationale: str

    def covers(self, version: str) -> bool:
        """Whether a version is among them."""
        return semver.compare(self.low, version) <= 0 <= semver.compare(self.high, version)


@dataclass(frozen=True, slots=True)
class GoMod:
    """What a go.mod says of its module; `deprecated` is the message, "" if it is not."""

    retractions: tuple[Retraction, ...]
    deprecated: str

    def retraction_of(self, version: str) -> Retraction | None:
        """The first retraction that covers a version."""
        return next((retraction for retraction in self.retractions if retraction.covers(version)), None)


@dataclass(frozen=True, slots=True)
class _Line:
    """One directive: its words with the keyword of its block in front, and its comment."""

    words: tuple[str, ...]
    comment: str


def parsed_go_mod(data: bytes) -> GoMod:
    """The retractions and the deprecation of a go.mod; bytes that are none say nothing."""
    if len(data) > MAX_BYTES or (b"retract" not in data and b"Deprecated:" not in data):
        return GoMod((), "")
    lines = list(_lines(data.decode("utf-8", "replace")))
    retractions = (_retraction(line) for line in lines if line.words[0] == "retract")
    deprecations = (_deprecation(line) for line in lines if line.words[0] == "module")
    return GoMod(tuple(found for found in retractions if found), next(filter(None, deprecations), ""))


def _lines(text: str) -> Iterator[_Line]:
    before: list[str] = []  # whole-line comments that belong to what comes next
    block: tuple[str, str] | None = None  # keyword and comment of the block that is open
    for raw in text.splitlines():
        words, suffix = _tokens(raw)
        if not words:
            if suffix is not None:
                before.append(suffix)
            elif block is None:
                before = []  # a blank line keeps a comment from what follows, but not within a block
            continue
        comments = before if suffix is None else [*before, suffix]
        before = []
        if block is None and words[-1] == "(" and len(words) == 2:
            block = (words[0], "\n".join(comments))
        elif block is not None and words == (")",):
            block = None
        elif block is not None:
            yield _Line((block[0], *words), "\n".join(comments) if comments else block[1])
        else:
            yield _Line(words, "\n".join(comments))


def _tokens(line: str) -> tuple[tuple[str, ...], str | None]:
    """The words of a line, and its comment without the slashes, None if it has none."""
    words: list[str] = []
    for match in _TOKEN.finditer(line):
        if match["comment"] is not None:
            return tuple(words), match["comment"][2:].strip()
        found = next((match[name] for name in ("quoted", "raw", "sign", "word") if match[name] is not None), "")
        words.append(found)
    return tuple(words), None


def _retraction(line: _Line) -> Retraction | None:
    match line.words[1:]:
        case (version,):
            low, high = version, version
        case ("[", low, ",", high, "]"):
            pass
        case _:
            return None
    if not semver.is_valid(low) or not semver.is_valid(high):
        return None
    return Retraction(low, high, line.comment.strip())


def _deprecation(line: _Line) -> str:
    match = _DEPRECATED.search(line.comment)
    return match[1].strip() if match else ""
