"""Which zips go when a store has to shrink: those that were used least lately, and those that nobody used for long.

Pure: times are seconds of the store's own clock (`ledger.py`), never of a wall clock.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Reason(StrEnum):
    """Why a zip goes."""

    BYTES = "bytes"
    IDLE = "idle"


class Standing(Enum):
    """Whether a zip may go now."""

    FREE = "free"
    BUSY = "busy"  # it is being read, or was saved a moment ago for somebody who has not read it yet
    KEPT = "kept"  # it must stay, whatever happens


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a store; 0 is no bound.

    Attributes:
        max_bytes: of all files of modules together.
        max_idle_s: seconds after which a zip goes that nobody asked for.
    """

    max_bytes: int = 0
    max_idle_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Candidate(Generic[K]):
    """One stored zip: what it is, its size, and when it was used last."""

    wanted: K
    zip_bytes: int
    used_s: float


@dataclass(frozen=True, slots=True)
class Eviction(Generic[K]):
    """One zip that goes."""

    wanted: K
    zip_bytes: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Plan(Generic[K]):
    """What to do, and what was in the way.

    Attributes:
        evictions: in the order of last use.
        kept: zips that were passed over because they must stay.
        busy: how many could go a little later.
        missing_bytes: how much is too much even after that; 0 when the plan is enough.
    """

    evictions: tuple[Eviction[K], ...]
    kept: tuple[K, ...]
    busy: int
    missing_bytes: int


def evictions(
    oldest_first: Iterable[Candidate[K]],
    *,
    excess_bytes: int,
    idle_since_s: float,
    standing: Callable[[K], Standing],
) -> Plan[K]:
    """The zips that go; looks at no more candidates than it has to.

    Args:
        oldest_first: every stored zip, the one that was used least lately first.
        excess_bytes: how much has to go; nothing has if it is not above 0.
        idle_since_s: what was used last before this time goes whatever the size of the store; `-inf` for none.
        standing: whether a zip may go now.
    """
    going: list[Eviction[K]] = []
    kept: list[K] = []
    busy = 0
    for candidate in oldest_first:
        is_idle = candidate.used_s < idle_since_s
        if excess_bytes <= 0 and not is_idle:
            break
        match standing(candidate.wanted):
            case Standing.KEPT:
                kept.append(candidate.wanted)
            case Standing.BUSY:
                busy += 1
            case Standing.FREE:
                reason = Reason.IDLE if is_idle else Reason.BYTES
                going.append(Eviction(candidate.wanted, candidate.zip_bytes, reason))
                excess_bytes -= candidate.zip_bytes
    return Plan(tuple(going), tuple(kept), busy, max(0, excess_bytes))
