"""The values of the download-file language: modes, blocks, files, and the limits that all of its users share.

Source: Athens pkg/download/mode/mode.go; the modes `deny` and `allow` and the attributes from `versions` on are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from athens_policy.patterns import Pattern
from athens_policy.versions import VersionRange

MAX_BYTES: Final = 262_144
MAX_BLOCKS: Final = 2_000


class Mode(StrEnum):
    """What happens to a module version that a block covers; all but `deny` serve what is stored."""

    SYNC = "sync"
    ASYNC = "async"
    NONE = "none"
    REDIRECT = "redirect"
    ASYNC_REDIRECT = "async_redirect"
    DENY = "deny"
    ALLOW = "allow"


ATHENS_MODES: Final = (Mode.SYNC, Mode.ASYNC, Mode.NONE, Mode.REDIRECT, Mode.ASYNC_REDIRECT)
REDIRECT_MODES: Final = (Mode.REDIRECT, Mode.ASYNC_REDIRECT)


@dataclass(frozen=True)
class Block:
    """One `download "<pattern>" { … }` of a file.

    Args:
        pattern: the module paths it covers.
        mode: what happens to them.
        download_url: where the redirect modes send to; empty means the next matching block's or the file's.
        versions: the versions it covers; None means all.
        min_age_s: seconds that must have passed since a version was first seen; None means no wait.
        upstream: a GOPROXY chain for what it covers; empty means the proxy's own.
        audit: a match is only counted, and the next block is asked.
        name: shown to a client that is refused.
        reason: shown to a client that is refused.
        exact: it covers the module of its pattern and none below it, as an advisory about one module does.
    """

    pattern: Pattern
    mode: Mode
    download_url: str = ""
    versions: VersionRange | None = None
    min_age_s: int | None = None
    upstream: str = ""
    audit: bool = False
    name: str = ""
    reason: str = ""
    exact: bool = False

    @property
    def is_extended(self) -> bool:
        """Whether it uses what stock Athens does not know."""
        return (
            self.mode not in ATHENS_MODES
            or self.versions is not None
            or self.min_age_s is not None
            or self.exact
            or self.audit
            or any((self.upstream, self.name, self.reason))
        )

    @property
    def may_refuse(self) -> bool:
        """Whether it can answer 403 or is counted, so that its name is wanted in a message or a metric."""
        return self.mode is Mode.DENY or self.min_age_s is not None or self.audit


@dataclass(frozen=True)
class DownloadFile:
    """A download file, or the equivalent of a bare mode word.

    Args:
        mode: for modules that no block covers, and for `allow` blocks; never `deny` or `allow`.
        download_url: where the redirect modes send to by default; may be empty.
        blocks: in the order in which they are asked; the first match wins.
    """

    mode: Mode
    download_url: str = ""
    blocks: tuple[Block, ...] = ()
