"""Keys of Athens and of this proxy that are known, but whose part of the proxy is not in this build.

A file or environment made for the whole proxy therefore loads; asking for such a part stops the start with a clear line
instead of being ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class WhenSet(StrEnum):
    """What a value other than empty does."""

    STOP = "stop"
    WARN = "warn"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class ReservedKey:
    """A known key without a part.

    Attributes:
        toml: its dotted path.
        env: its plain environment name.
        when_set: what a value does.
        verdict: what the user is told then.
    """

    toml: str
    env: str
    when_set: WhenSet = WhenSet.SILENT
    verdict: str = "not available in this build"


_NO_PPROF = "there is no Go profiler here; see /metrics, or look into the process with py-spy"
_NO_PROPAGATION = (
    "credentials of clients are not passed on (nor does Athens);"
    " use NETRCPath, or user names in the GOPROXY of GoBinaryEnvVars"
)

RESERVED: tuple[ReservedKey, ...] = (
    ReservedKey("EnablePprof", "ATHENS_ENABLE_PPROF", WhenSet.WARN, _NO_PPROF),
    ReservedKey("PropagateAuth", "ATHENS_PROPAGATE_AUTH", WhenSet.WARN, _NO_PROPAGATION),
    ReservedKey("PropagateAuthHost", "ATHENS_PROPAGATE_AUTH_HOST", WhenSet.WARN, _NO_PROPAGATION),
    ReservedKey("PprofPort", "ATHENS_PPROF_PORT"),
)
