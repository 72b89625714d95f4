"""`ModulePath` and `ModuleVersion`: text from outside becomes one of these once, and no pair of strings travels after.

Source: https://go.dev/ref/mod#go-mod-file-ident, https://go.dev/ref/mod#versions, https://go.dev/ref/mod#goproxy-protocol
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from athens_policy import semver
from athens_proxy.errors import InvalidPath, InvalidVersion
from athens_proxy.modules import grammar

_ESCAPES = ": in URLs an upper-case letter is ! and its lower-case form, and ! stands for nothing else"


@dataclass(frozen=True, slots=True)
class ModulePath:
    """A module path that keeps the rules of Go's `module.CheckPath`; make one with `parse` or `from_escaped`."""

    text: str

    @classmethod
    def parse(cls, text: str) -> ModulePath:
        """The path as people write it.

        Raises:
            InvalidPath: the text breaks a rule, or holds the wildcard `...`, which `go` would expand.
        """
        if problem := grammar.module_path_problem(text):
            raise InvalidPath(f"not found: malformed module path {grammar.quoted(text)}: {problem}")
        return cls(text)

    @classmethod
    def from_escaped(cls, escaped: str) -> ModulePath:
        """The path out of a URL, percent signs already decoded.

        Raises:
            InvalidPath: a raw upper-case letter, a stray `!`, or a path that breaks a rule.
        """
        text = grammar.unescape(escaped)
        if text is None:
            raise InvalidPath(f"not found: invalid escaped module path {grammar.quoted(escaped)}{_ESCAPES}")
        return cls.parse(text)

    @property
    def escaped(self) -> str:
        """The path for URLs and for stores that ignore case."""
        return grammar.escape(self.text)

    @property
    def major_suffix(self) -> str:
        """`/v2`, `.v1` for gopkg.in, or empty."""
        split = grammar.split_path_version(self.text)
        return split[1] if split else ""

    @property
    def is_toolchain(self) -> bool:
        """Whether this is the module of Go's own toolchains, which no version control system has."""
        return self.text == "golang.org/toolchain"

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class ModuleVersion:
    """A module path with a version: canonical, or a query (branch, tag, commit) that upstream resolves."""

    path: ModulePath
    version: str

    @classmethod
    def parse(cls, path: ModulePath, text: str) -> ModuleVersion:
        """The version as people write it.

        Raises:
            InvalidVersion: the text cannot be asked through a module proxy (a branch with `/`, a `!`, no ASCII).
        """
        if problem := grammar.version_problem(text):
            raise InvalidVersion(f"not found: {path}@{grammar.quoted(text)}: {problem}")
        return cls(path, text)

    @classmethod
    def from_escaped(cls, path: ModulePath, escaped: str) -> ModuleVersion:
        """The version out of a URL, percent signs already decoded; raises as `parse`."""
        text = grammar.unescape(escaped)
        if text is None:
            raise InvalidVersion(f"not found: invalid escaped version {grammar.quoted(escaped)}{_ESCAPES}")
        return cls.parse(path, text)

    @property
    def escaped_version(self) -> str:
        """The version for URLs and for stores that ignore case."""
        return grammar.escape(self.version)

    @property
    def is_canonical(self) -> bool:
        """Whether this names one immutable version of that very path, so that `.mod` and `.zip` may exist."""
        return self.version == canonical_version(self.version) and grammar.path_major_matches(
            self.version, self.path.major_suffix
        )

    @property
    def is_pseudo(self) -> bool:
        """Whether the version was made from a commit that has no tag."""
        return semver.is_pseudo_version(self.version)

    def __str__(self) -> str:
        return f"{self.path}@{self.version}"


@lru_cache(maxsize=8192)  # a list asks for hundreds, again and again
def canonical_version(version: str) -> str:
    """The version with missing numbers filled in and the build dropped, `+incompatible` kept; "" if it is no semver."""
    canonical = semver.canonical(version)
    if canonical and semver.build(version) == "+incompatible":
        return canonical + "+incompatible"
    return canonical
