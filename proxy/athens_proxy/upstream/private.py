"""Which modules are private: their names leave for no module proxy, no checksum database and no redirect; pure.

The go command looks for a package in every leading part of its path, so a pattern for `git.example.com/team/*` is asked
for `git.example.com/team` and `git.example.com` as well. Those names tell of the private ones and are kept here too.

Source: https://go.dev/ref/mod#private-modules
"""

from __future__ import annotations

from collections.abc import Iterable

from athens_policy.elements import element
from athens_policy.patterns import InvalidPattern, Pattern


class PrivateModules:
    """The modules of GOPRIVATE or GONOPROXY.

    Args:
        patterns: sound ones, with Go's meaning.
    """

    def __init__(self, patterns: Iterable[Pattern] = ()) -> None:
        self._patterns = tuple(patterns)
        self._leading = tuple(
            Pattern.of_file("/".join(pattern.elements[:count]))
            for pattern in self._patterns
            for count in range(1, len(pattern.elements))
        )

    def covers(self, module_path: str) -> bool:
        """Whether the path is private, or a leading part of private ones."""
        if any(pattern.matches(module_path) for pattern in self._patterns):
            return True
        count = module_path.count("/") + 1
        return any(len(part.elements) == count and part.matches(module_path) for part in self._leading)

    def holds(self, pattern: Pattern) -> bool:
        """Whether all that a rule's pattern covers is provably private."""
        return any(_covers(private, pattern) for private in self._patterns)


def _covers(private: Pattern, other: Pattern) -> bool:
    if len(private.elements) > len(other.elements):
        return False
    pairs = zip(private.elements, other.elements, strict=False)
    try:
        return all(element(wide).covers(element(narrow)) for wide, narrow in pairs)
    except InvalidPattern:
        return False
