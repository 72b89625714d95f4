"""Version ranges of a rule: comparators that must all hold, such as ">=v0.25.0 <v0.31.0"."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from athens_policy import semver
from athens_policy.semver import Precedence

MAX_LENGTH: Final = 256
_COMPARATOR: Final = re.compile(r"(?P<sign>>=|<=|>|<|=)(?P<version>v[0-9A-Za-z.+-]+)")
_SIGNS: Final[dict[str, Callable[[Precedence, Precedence], bool]]] = {
    "=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_SHAPE: Final = 'write comparators (=, >, >=, <, <=) with full versions, joined by one space: ">=v0.25.0 <v0.31.0"'


class InvalidRange(ValueError):
    """The text is no version range; the message says what is allowed."""


@dataclass(frozen=True)
class VersionRange:
    """A set of versions.

    Args:
        text: as the rule wrote it; ranges are equal when their texts are.
    """

    text: str
    _comparators: tuple[tuple[str, Precedence], ...] = field(compare=False, repr=False)

    @staticmethod
    def parse(text: str) -> VersionRange:
        """The range.

        Raises:
            InvalidRange: the text has another shape, is longer than 256 characters, or no version can satisfy it.
        """
        if len(text) > MAX_LENGTH:
            raise InvalidRange(f"the version range has {len(text)} characters; at most {MAX_LENGTH} are allowed")
        comparators = tuple(_comparator(part, text) for part in text.split(" "))
        if _is_empty(comparators):
            raise InvalidRange(f"no version can satisfy {text!r}: its lower bound is above its upper bound")
        return VersionRange(text, comparators)

    def contains(self, version: str) -> bool:
        """Whether the version satisfies every comparator, by Go's semver order, builds ignored.

        A query ("latest", "v1", a branch, a commit) is in no range: ask again with the version that it resolves to.
        """
        if semver.canonical(version) != version.removesuffix("+incompatible"):
            return False
        wanted = semver.precedence(version)
        return all(_SIGNS[sign](wanted, bound) for sign, bound in self._comparators)


def _comparator(part: str, text: str) -> tuple[str, Precedence]:
    match = _COMPARATOR.fullmatch(part)
    if match is None:
        raise InvalidRange(f"{text!r} is not a version range; {_SHAPE}")
    version = match["version"]
    if semver.canonical(version) != version.removesuffix("+incompatible"):
        raise InvalidRange(f"{version!r} in {text!r} is not a full version vX.Y.Z[-pre][+incompatible]; {_SHAPE}")
    return match["sign"], semver.precedence(version)


def _is_empty(comparators: Iterable[tuple[str, Precedence]]) -> bool:
    """Whether the bounds contradict each other; an exclusive bound (0 below it, 2 above it) moves past the version."""
    lower = [(bound, 2 if sign == ">" else 1) for sign, bound in comparators if sign in ("=", ">", ">=")]
    upper = [(bound, 0 if sign == "<" else 1) for sign, bound in comparators if sign in ("=", "<", "<=")]
    return bool(lower and upper) and max(lower) > min(upper)
