"""The parts of `AthensProxy.spec` for running a proxy for years: bounds, purges, prefetch, following, traces."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, field_validator

from athens_operator.spec.values import KeyReference, Quantity, Seconds, Spec, bytes_of


class OnError(StrEnum):
    """What pods enforce while a policy of theirs is missing or wrong."""

    KEEP_LAST = "KeepLast"
    FAIL_CLOSED = "FailClosed"


class Retention(Spec):
    """Bounds of the store; `max_idle_s` in seconds."""

    max_bytes: Quantity | None = None
    max_idle_s: Seconds | None = Field(default=None, alias="maxIdle")
    keep: tuple[str, ...] = ()
    dry_run: bool = False

    @field_validator("max_bytes")
    @classmethod
    def _countable(cls, size: str | None) -> str | None:
        if size is not None and bytes_of(size) < 1:
            raise ValueError("not a size; write one such as 200Gi")
        return size


class Purged(Spec):
    """A version that must not be served."""

    module: str
    version: str
    reason: str = ""


class Prefetch(Spec):
    """Modules that are asked for once, by a Job."""

    go_sum_config_map_ref: KeyReference | None = None
    modules: tuple[str, ...] = ()


class FollowAction(StrEnum):
    """What another proxy's events lead to here."""

    DROP = "Drop"
    PREFETCH = "Prefetch"
    BOTH = "Both"


class Follow(Spec):
    """Another proxy whose events are listened to."""

    url: str
    action: FollowAction = FollowAction.DROP


class Tracing(Spec):
    """Where traces go, and of how many requests."""

    exporter: str
    endpoint: str = ""
    sampling_fraction: str = "1.0"
