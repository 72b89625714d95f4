"""The grammar of module paths, file names in module zips, and `!` escaping.

Not for versions as numbers: that is `athens_policy.semver`. Functions return a reason instead of raising, since the
same rule is a "not found" for a request and an "invalid zip" for an upstream.

Source: golang.org/x/mod/module (CheckPath, CheckFilePath, SplitPathVersion, CheckPathMajor, escapeString); prose at
https://go.dev/ref/mod#go-mod-file-ident
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import lru_cache
from typing import Final

from athens_policy import semver

SHOWN_CHARS: Final = 200

_MODULE_CHARS: Final = re.compile(r"[A-Za-z0-9._~-]")
_FIRST_ELEMENT_CHARS: Final = re.compile(r"[a-z0-9.-]")
_FILE_CHARS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&()+,-.=@[]^_{}~ ")
_WINDOWS_DEVICES: Final = frozenset(
    ["CON", "PRN", "AUX", "NUL", *(f"COM{n}" for n in range(1, 10)), *(f"LPT{n}" for n in range(1, 10))]
)
_PLAIN_FILE_ELEMENT: Final = re.compile(
    rf"(?!(?i:{'|'.join(sorted(_WINDOWS_DEVICES))})(?:\.|\Z))"
    rf"[{re.escape(''.join(sorted(_FILE_CHARS)))}]*[{re.escape(''.join(sorted(_FILE_CHARS - {'.'})))}]\Z",
    re.ASCII,
)
_SHORT_NAME: Final = re.compile(r"~[0-9]+\Z")
_SUFFIX: Final = re.compile(r"/v(?P<digits>[0-9.]+)\Z")
_GOPKG_SUFFIX: Final = re.compile(r"(?P<suffix>\.v(?P<digits>[0-9]+)(?:-unstable)?)\Z")
_ESCAPED: Final = re.compile(r"(?:[^A-Z!\x80-\U0010ffff]|![a-z])*\Z", re.DOTALL)


def quoted(text: str) -> str:
    """The text in double quotes, ASCII on one line and cut to `SHOWN_CHARS`, so that it can stand in an error body."""
    shown = text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "..."
    return json.dumps(shown)


def module_path_problem(path: str) -> str | None:
    """Why the text is no module path, or None."""
    if problem := _path_problem(path, in_zip=False):
        return problem
    if "..." in path:
        return 'the wildcard "..." stands for many modules'
    first = path.split("/", 1)[0]
    if "." not in first:
        return "missing dot in first path element"
    for char in first:
        if not _FIRST_ELEMENT_CHARS.match(char):
            return f"invalid char {quoted(char)} in first path element"
    return "invalid version" if split_path_version(path) is None else None


def file_path_problem(path: str) -> str | None:
    """Why the text is no name of a file below a module's root, or None."""
    return _path_problem(path, in_zip=True)


def is_plain_file_element(element: str) -> bool:
    """Whether `file_path_problem` would have nothing against this name without slash; told quickly, for ASCII only."""
    return _PLAIN_FILE_ELEMENT.match(element) is not None


def version_problem(version: str) -> str | None:
    """Why the text can be neither a version nor a version query, or None."""
    if "!" in version or not version.isascii() or _element_problem(version, in_zip=True) or "/" in version:
        return "disallowed version string"
    return None


@lru_cache(maxsize=1024)  # asked again for every version of one path
def split_path_version(path: str) -> tuple[str, str] | None:
    """The prefix and the major version suffix (`/v2`, `.v1`, or empty), or None where the suffix breaks the rules."""
    if path.startswith("gopkg.in/"):
        match = _GOPKG_SUFFIX.search(path)
        if match is None or (match["digits"].startswith("0") and match["suffix"] != ".v0"):
            return None
        return path[: match.start()], match["suffix"]
    match = _SUFFIX.search(path)
    if match is None or match.start() == 0:
        return path, ""
    digits = match["digits"]
    if "." in digits or digits.startswith("0") or digits == "1":
        return None
    return path[: match.start()], match[0]


def path_major_matches(version: str, path_major: str) -> bool:
    """Whether a semantic version belongs to the major version that the path states."""
    path_major = path_major.removesuffix("-unstable")
    if version.startswith("v0.0.0-") and path_major == ".v1":
        return True  # gopkg.in/check.v1 has such pseudo-versions, and go.mod files name them
    if not path_major:
        return semver.major(version) in ("v0", "v1") or semver.build(version) == "+incompatible"
    return semver.major(version) == path_major[1:]


def escape(text: str) -> str:
    """Each upper-case letter as `!` and its lower-case form, for stores and URLs that ignore case."""
    return re.sub(r"[A-Z]", lambda upper: "!" + upper[0].lower(), text)


def unescape(escaped: str) -> str | None:
    """The inverse of `escape`, or None for text that `escape` never makes."""
    if not _ESCAPED.match(escaped):
        return None
    return re.sub(r"!([a-z])", lambda lower: lower[1].upper(), escaped)


def _path_problem(path: str, *, in_zip: bool) -> str | None:
    if not path:
        return "empty string"
    if path.startswith("-") and not in_zip:
        return "leading dash"
    if "//" in path:
        return "double slash"
    if path.endswith("/"):
        return "trailing slash"
    return next((problem for element in path.split("/") if (problem := _element_problem(element, in_zip=in_zip))), None)


def _element_problem(element: str, *, in_zip: bool) -> str | None:
    if in_zip and is_plain_file_element(element):
        return None
    if not element:
        return "empty path element"
    if not element.strip("."):
        return f"invalid path element {quoted(element)}"
    if element.startswith(".") and not in_zip:
        return "leading dot in path element"
    if element.endswith("."):
        return "trailing dot in path element"
    allowed = _is_file_char if in_zip else _MODULE_CHARS.match
    for char in element:
        if not allowed(char):
            return f"invalid char {quoted(char)}"
    return _reserved_name_problem(element.split(".", 1)[0], in_zip=in_zip)


def _reserved_name_problem(stem: str, *, in_zip: bool) -> str | None:
    if stem.isascii() and stem.upper() in _WINDOWS_DEVICES:
        return f"{quoted(stem)} disallowed as path element component on Windows"
    if not in_zip and _SHORT_NAME.search(stem):
        return "trailing tilde and digits in path element"
    return None


def _is_file_char(char: str) -> bool:
    return char in _FILE_CHARS or (not char.isascii() and unicodedata.category(char).startswith("L"))
