"""Which versions to list, from what is stored and what upstream says; pure.

Athens' rules (github.com/gomods/athens pkg/download/protocol.go) with these differences: the result is sorted, a module
that upstream does not know is still listed when it is stored, and one that nobody knows is not found in every mode.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum

from athens_policy import semver
from athens_proxy.errors import ModuleNotFound, ProxyError
from athens_proxy.modules import ModulePath, ModuleVersion

_VERSION_PREFIX = re.compile(r"v\d+(\.\d+){0,2}\Z", re.ASCII)


class NetworkMode(StrEnum):
    """How answers depend on upstream: it must answer, it is never asked, or it may fail."""

    STRICT = "strict"
    OFFLINE = "offline"
    FALLBACK = "fallback"


def listed(
    path: ModulePath, stored: Sequence[str], upstream: Sequence[str] | ProxyError, mode: NetworkMode
) -> list[str]:
    """The versions to list.

    Args:
        path: the module.
        stored: canonical versions in the store.
        upstream: what upstream lists, as `VersionLister.versions` promises it, or how asking it failed;
            `ModuleNotFound` when it is not asked.
        mode: whether a failure is an error.

    Raises:
        ModuleNotFound: neither stored nor known upstream.
        ProxyError: upstream failed and the mode is strict.
    """
    if not isinstance(upstream, ProxyError):
        only_stored = set(_tagged(stored)).difference(upstream)
        return in_order(path, [*upstream, *only_stored]) if only_stored else list(upstream)
    if mode is NetworkMode.STRICT and not isinstance(upstream, ModuleNotFound):
        raise upstream
    if not stored:
        raise not_found(upstream)
    return in_order(path, _tagged(stored) or stored)


def newest(versions: Iterable[str]) -> str:
    """What `@latest` means among versions: the highest release, else pre-release, else pseudo-version; "" for none."""
    return max(versions, key=_latest_key, default="")


def meant(query: str, versions: Iterable[str]) -> str:
    """What a version query means among versions, "" for nothing.

    That is the incompatible version that is named without its suffix, or what `newest` says among those of a prefix
    (`v1`, `v1.2`); branches and commits mean nothing without their repository.
    """
    if not _VERSION_PREFIX.match(query):
        return ""
    return newest(v for v in versions if v == f"{query}+incompatible" or v.startswith(f"{query}."))


def in_order(path: ModulePath, versions: Iterable[str]) -> list[str]:
    """The canonical versions that are valid for the path, each once, in semver order."""
    return sorted(dict.fromkeys(v for v in versions if ModuleVersion(path, v).is_canonical), key=semver.sort_key)


def not_found(error: ProxyError) -> ModuleNotFound:
    """A failure of upstream as the absence that it means where nothing is stored."""
    return error if isinstance(error, ModuleNotFound) else ModuleNotFound(f"not found: nothing is stored, and {error}")


def _tagged(versions: Iterable[str]) -> list[str]:
    return [version for version in versions if not semver.is_pseudo_version(version)]


def _latest_key(version: str) -> tuple[int, object]:
    if semver.is_pseudo_version(version):
        rank = 0
    elif semver.prerelease(version):
        rank = 1
    else:
        rank = 3 if semver.build(version) != "+incompatible" else 2
    return rank, semver.sort_key(version)
