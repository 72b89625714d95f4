"""Go's semantic versions: what is valid, what is canonical, which one is newer, what is a pseudo-version.

Not for module paths or `module.CanonicalVersion`, which keeps `+incompatible`: those live with the module names.

Source: golang.org/x/mod/semver and golang.org/x/mod/module (pseudo.go).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_NUMBER: Final = r"(?:0|[1-9][0-9]*)"
_IDENTIFIER: Final = r"[0-9A-Za-z-]+"
# A pre-release identifier of digits alone has no leading zero; build identifiers may.
_PRERELEASE_IDENTIFIER: Final = rf"(?:{_NUMBER}(?![0-9A-Za-z-])|(?![0-9]+(?![0-9A-Za-z-])){_IDENTIFIER})"
_VERSION: Final = re.compile(
    rf"v(?P<major>{_NUMBER})(?:\.(?P<minor>{_NUMBER})(?:\.(?P<patch>{_NUMBER})"
    rf"(?P<prerelease>-{_PRERELEASE_IDENTIFIER}(?:\.{_PRERELEASE_IDENTIFIER})*)?"
    rf"(?P<build>\+{_IDENTIFIER}(?:\.{_IDENTIFIER})*)?)?)?"
)
_PSEUDO_VERSION: Final = re.compile(
    r"v[0-9]+\.(?:0\.0-|[0-9]+\.[0-9]+-(?:[^+]*\.)?0\.)[0-9]{14}-[A-Za-z0-9]+"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)

# What orders a version: major, minor, patch, pre-release. Numbers are (count of digits, digits), since Go sets no bound
# on them and Python refuses to convert thousands of digits.
Precedence = tuple[tuple[int, str], tuple[int, str], tuple[int, str], tuple[tuple[int, int, str], ...]]
_RELEASE: Final = ((2, 0, ""),)  # above every identifier: a release is newer than its pre-releases
_INVALID: Final[Precedence] = ((-1, ""), (-1, ""), (-1, ""), ())


@lru_cache(maxsize=8192)  # one list of versions is read several times over
def _parsed(version: str) -> re.Match[str] | None:
    return _VERSION.fullmatch(version)


def is_valid(version: str) -> bool:
    """Whether it is `vMAJOR[.MINOR[.PATCH[-PRERELEASE][+BUILD]]]`; "v1" and "v1.2" are valid."""
    return _parsed(version) is not None


def canonical(version: str) -> str:
    """The version with missing numbers as 0 and without build (not even `+incompatible`); "" if it is invalid."""
    match = _parsed(version)
    if match is None:
        return ""
    numbers = (match["major"], match["minor"] or "0", match["patch"] or "0")
    return f"v{'.'.join(numbers)}{match['prerelease'] or ''}"


def major(version: str) -> str:
    """The major version with its "v", such as "v2"; "" if the version is invalid."""
    match = _parsed(version)
    return f"v{match['major']}" if match else ""


def prerelease(version: str) -> str:
    """The pre-release with its hyphen, such as "-rc.1"; "" if there is none or the version is invalid."""
    match = _parsed(version)
    return match["prerelease"] or "" if match else ""


def build(version: str) -> str:
    """The build with its plus sign, such as "+incompatible"; "" if there is none or the version is invalid."""
    match = _parsed(version)
    return match["build"] or "" if match else ""


def compare(a: str, b: str) -> int:
    """-1, 0 or 1 as `a` is older than, equal to or newer than `b`; builds count for nothing.

    An invalid version is older than every valid one, and all invalid ones are equal.
    """
    first, second = precedence(a), precedence(b)
    return (first > second) - (first < second)


def sort_key(version: str) -> tuple[Precedence, str]:
    """A key that sorts as Go's `semver.Sort` does: oldest first, equal ones by their text."""
    return (precedence(version), version)


@lru_cache(maxsize=4096)
def precedence(version: str) -> Precedence:
    """What `compare` compares; values order as the versions do."""
    match = _parsed(version)
    if match is None:
        return _INVALID
    identifiers = match["prerelease"]
    return (
        _number(match["major"]),
        _number(match["minor"] or "0"),
        _number(match["patch"] or "0"),
        tuple(map(_identifier, identifiers[1:].split("."))) if identifiers else _RELEASE,
    )


def is_pseudo_version(version: str) -> bool:
    """Whether it names a commit, as in "v0.0.0-20191109021931-daa7c04131f5"; build and its forms included."""
    return version.count("-") >= 2 and is_valid(version) and _PSEUDO_VERSION.fullmatch(version) is not None


def _number(digits: str) -> tuple[int, str]:
    return (len(digits), digits)


def _identifier(text: str) -> tuple[int, int, str]:
    return (0, len(text), text) if text.isdigit() else (1, 0, text)
