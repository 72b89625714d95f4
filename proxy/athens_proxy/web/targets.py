"""From a raw request target to what it names; pure, total, and the only place where URLs are taken apart.

The path is percent-decoded exactly once. Encoded slashes, backslashes and NUL bytes are refused before that, dot
segments and empty elements by the grammar of module paths after it. Nothing is cleaned and nothing is redirected.

Source: https://go.dev/ref/mod#goproxy-protocol; golang.org/x/mod/module for the grammar
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from athens_proxy.errors import InvalidVersion, ModuleNotFound
from athens_proxy.modules import ModulePath, ModuleVersion

_FORBIDDEN_ESCAPES: Final = re.compile(r"%(2f|5c|00)|\\", re.IGNORECASE)
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9a-fA-F]{2})", re.ASCII)
# The go command resolves these from the list; a proxy has no answer of its own.
_RESERVED_QUERIES: Final = frozenset({"latest", "upgrade", "patch"})
EXTENSIONS: Final = frozenset({"info", "mod", "zip"})
_OURS: Final = ("/-/policy", "/-/config", "/-/events", "/-/ui", "/-/modules", "/-/versions", "/-/summary", "/-/top")
FIXED: Final = frozenset(
    {"/", "/healthz", "/readyz", "/version", "/catalog", "/index", "/metrics", "/robots.txt", *_OURS}
)
# Probes and scrapers know nothing of a prefix.
ROOT_WITH_PREFIX: Final = frozenset({"/healthz", "/readyz", "/metrics"})
CACHED_ONLY: Final = "/cached-only"
STORE: Final = "/-/store/"


@dataclass(frozen=True, slots=True)
class FixedTarget:
    """One of the endpoints that are no module's: `path` is without the prefix, `/` means the home page."""

    path: str


@dataclass(frozen=True, slots=True)
class ChecksumTarget:
    """Below `/sumdb/`: the database's name and the rest."""

    name_and_rest: str


@dataclass(frozen=True, slots=True)
class ListTarget:
    """`@v/list` of a module."""

    path: ModulePath
    cached_only: bool


@dataclass(frozen=True, slots=True)
class LatestTarget:
    """`@latest` of a module."""

    path: ModulePath
    cached_only: bool


@dataclass(frozen=True, slots=True)
class FileTarget:
    """A file of a version; `extension` is info, mod or zip; only `.info` may be of a query."""

    wanted: ModuleVersion
    extension: str
    cached_only: bool


@dataclass(frozen=True, slots=True)
class StoreTarget:
    """Below `/-/store/`, the API for proxies that keep their modules here: `rest` is decoded and not yet checked."""

    rest: str


Target = FixedTarget | ChecksumTarget | ListTarget | LatestTarget | FileTarget | StoreTarget


def target(raw: str, *, prefix: str) -> Target:
    """What the raw request target names.

    Args:
        raw: as it stood in the request line, with query string.
        prefix: where everything is mounted, such as `/go`, or "".

    Raises:
        ModuleNotFound: nothing of ours has this name.
    """
    path = decoded_path(raw)
    if prefix:
        if path in ROOT_WITH_PREFIX:
            return FixedTarget(path)
        if path == "/":
            return FixedTarget("/healthz")  # as Athens: the plain root stays alive
        if not path.startswith(f"{prefix}/"):
            raise ModuleNotFound(f"not found: everything here is below {prefix}/")
        path = path[len(prefix) :]
    if path in FIXED:
        return FixedTarget(path)
    if path.startswith("/sumdb/"):
        return ChecksumTarget(path.removeprefix("/sumdb/"))
    if path.startswith(STORE):
        return StoreTarget(path.removeprefix(STORE))
    cached_only = path.startswith(f"{CACHED_ONLY}/")
    return _module_target(path.removeprefix(CACHED_ONLY) if cached_only else path, cached_only=cached_only)


def decoded_path(raw: str) -> str:
    """The path of a target, decoded once.

    Raises:
        ModuleNotFound: it cannot be decoded without changing what its slashes mean.
    """
    path = raw.partition("?")[0]
    if not path.startswith("/"):
        path = _absolute_form_path(path)
    if "%" not in path and "\\" not in path and path.isascii():
        return path
    if _FORBIDDEN_ESCAPES.search(path) or _BROKEN_ESCAPE.search(path):
        raise ModuleNotFound("not found: the path has an escape that no module path has")
    try:
        return unquote_to_bytes(path.encode("utf-8", "surrogateescape")).decode("utf-8")
    except UnicodeDecodeError:
        raise ModuleNotFound("not found: the path is not UTF-8") from None


def _absolute_form_path(raw: str) -> str:
    """The path of `http://host/path`, as clients of forward proxies write targets."""
    try:
        parts = urlsplit(raw)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https"):
        raise ModuleNotFound("not found: the request target has no path")
    return parts.path or "/"


def _module_target(path: str, *, cached_only: bool) -> Target:
    head, latest, rest = path.rpartition("/@latest")
    if latest and not rest:
        return LatestTarget(_module_path(head), cached_only)
    head, at_v, file = path.rpartition("/@v/")
    if not at_v:
        raise ModuleNotFound("not found: the path has no /@v/ and is none of this proxy's own")
    if file == "list":
        return ListTarget(_module_path(head), cached_only)
    version, dot, extension = file.rpartition(".")
    if not dot or extension not in EXTENSIONS or not version:
        raise ModuleNotFound("not found: a module has only list, <version>.info, <version>.mod and <version>.zip")
    return FileTarget(_version(_module_path(head), version, extension), extension, cached_only)


def _module_path(head: str) -> ModulePath:
    if not head.startswith("/"):
        raise ModuleNotFound("not found: the module path is empty")
    return ModulePath.from_escaped(head[1:])


def _version(path: ModulePath, escaped: str, extension: str) -> ModuleVersion:
    wanted = ModuleVersion.from_escaped(path, escaped)
    if wanted.version in _RESERVED_QUERIES:
        raise InvalidVersion(f"not found: {wanted}: the go command resolves this query itself")
    if extension != "info" and not wanted.is_canonical:
        raise InvalidVersion(f"not found: {wanted}: no canonical version of this path, so it has no .{extension}")
    return wanted
