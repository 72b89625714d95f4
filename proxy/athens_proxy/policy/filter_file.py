"""Athens' filter file (deprecated): which modules are included, excluded, or sent to another proxy; pure.

One rule per line: a sign (`+` include, `-` exclude, `D` direct), a module path, and versions between commas. A rule
covers everything below its path; the deepest rule whose versions match decides, else the rule without a path, else the
module is included.

Source: github.com/gomods/athens v0.18.0, pkg/module/filter.go, with its habits: `<` means at most, fields are divided
by single spaces, later lines for the same path replace earlier ones. Athens ends with a panic on an empty version; here
it matches nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from athens_proxy.modules import ModulePath

MAX_FIELDS: Final = 3
_MODIFIED: Final = re.compile(r"[~^<].")
_GO_ATOI: Final = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


class FilterSyntaxError(ValueError):
    """A line is no rule; the text is Athens' and names the line."""


class FilterRule(StrEnum):
    """What a filter file says about a module version."""

    INCLUDE = "+"
    EXCLUDE = "-"
    DIRECT = "D"


@dataclass(slots=True)
class _Node:
    """One path element: its rule if a line names it, the versions of that rule, and what is below."""

    rule: FilterRule | None = None
    versions: tuple[str, ...] = ()
    below: dict[str, _Node] = field(default_factory=dict)

    def covers(self, version: str) -> bool:
        return not self.versions or not version or any(_matches(version, wanted) for wanted in self.versions)


class FilterFile:
    """The rules of a filter file."""

    def __init__(self, root: _Node) -> None:
        self._root = root

    @classmethod
    def parse(cls, text: str) -> FilterFile:
        """The rules of a text.

        Raises:
            FilterSyntaxError: a line has an unknown sign or too many fields.
        """
        root = _Node()
        for number, line in enumerate(text.split("\n"), 1):
            rule = line.strip()
            if rule and not rule.startswith("#"):
                _add(root, rule.split(" "), number)
        return cls(root)

    def rule(self, path: ModulePath, version: str = "") -> FilterRule:
        """What is decided; without a version (lists, latest) the versions of rules do not count."""
        found, node = self._root.rule, self._root
        for element in path.text.split("/"):
            below = node.below.get(element)
            if below is None:
                break
            node = below
            if node.rule is not None and node.covers(version):
                found = node.rule
        return found or FilterRule.INCLUDE


def _add(root: _Node, fields: list[str], number: int) -> None:
    if len(fields) > MAX_FIELDS or fields[0].strip() not in _SIGNS:
        raise FilterSyntaxError(f"Invalid configuration found in filter file at the line {number}")
    rule = _SIGNS[fields[0].strip()]
    path = fields[1].strip().strip("/") if len(fields) > 1 else ""
    if not path:
        root.rule = rule
        return
    node = root
    for element in path.split("/"):
        node = node.below.setdefault(element, _Node())
    node.rule = rule
    node.versions = tuple(map(_qualifier, fields[2].split(","))) if len(fields) == MAX_FIELDS else ()


_SIGNS: Final[Mapping[str, FilterRule]] = {str(rule): rule for rule in FilterRule}


def _qualifier(item: str) -> str:
    """Athens' normal form: `v1` and `v1.2.*` become the prefixes `v1.` and `v1.2.`."""
    text = item.rstrip("*")
    return f"{text}." if text and not text.endswith(".") and text.count(".") < 2 else text


def _matches(version: str, qualifier: str) -> bool:
    if re.match(r"v[0-9]", qualifier, re.ASCII):
        return version.startswith(qualifier)
    if not _MODIFIED.match(qualifier):
        return False
    have, wanted = _numbers(version[1:]), _numbers(qualifier[2:])
    if have is None or wanted is None:
        return False
    match qualifier[0]:
        case "~":
            return have[:2] == wanted[:2] and have[2] >= wanted[2]
        case "^":
            return have[0] == wanted[0] and have[1:] >= wanted[1:]
        case _:
            return have <= wanted


def _numbers(text: str) -> tuple[int, int, int] | None:
    """The three numbers of a version without extras, else None."""
    parts = text.strip().strip(".").split(".")
    if len(parts) != 3 or not all(map(_GO_ATOI.fullmatch, parts)):
        return None
    major, minor, patch = map(int, parts)
    return major, minor, patch
