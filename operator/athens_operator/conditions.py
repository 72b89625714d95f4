"""Kubernetes conditions: how old and new ones become the list in a status. Pure.

`lastTransitionTime` moves only when a condition's status flips, so an unchanged situation gives an equal list and no
write. Source: the Condition type of k8s.io/apimachinery and kstatus' conventions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

MAX_MESSAGE = 1024


class Verdict(StrEnum):
    """A condition's status."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    """One judgement, without the bookkeeping that `merged` adds."""

    type: str
    status: Verdict
    reason: str
    message: str


def merged(
    old: Sequence[Mapping[str, Any]], new: Iterable[Condition], *, generation: int, now: datetime
) -> list[dict[str, Any]]:
    """The conditions list of a status, in the order of `new`; old conditions that are not in `new` disappear."""
    before = {condition.get("type"): condition for condition in old}
    return [_entry(before.get(condition.type), condition, generation=generation, now=now) for condition in new]


def _entry(before: Mapping[str, Any] | None, condition: Condition, *, generation: int, now: datetime) -> dict[str, Any]:
    unchanged = before is not None and before.get("status") == condition.status.value
    since = str(before.get("lastTransitionTime") or timestamp(now)) if unchanged and before else timestamp(now)
    return {
        "type": condition.type,
        "status": condition.status.value,
        "observedGeneration": generation,
        "lastTransitionTime": since,
        "reason": condition.reason,
        "message": one_line(condition.message, MAX_MESSAGE),
    }


def held_for(old: Sequence[Mapping[str, Any]], kind: str, status: Verdict, now: datetime) -> timedelta:
    """For how long a condition has had this status; zero when it has not."""
    for condition in old:
        if condition.get("type") == kind and condition.get("status") == status.value:
            return max(now - parsed_timestamp(condition.get("lastTransitionTime"), now), timedelta(0))
    return timedelta(0)


def is_true(conditions: Iterable[Mapping[str, Any]], kind: str) -> bool:
    """Whether a conditions list of any object has this type with status True."""
    return any(entry.get("type") == kind and entry.get("status") == "True" for entry in conditions)


def timestamp(moment: datetime) -> str:
    """A moment as the API server writes it, in UTC and whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parsed_timestamp(text: object, default: datetime) -> datetime:
    """The moment in an object's timestamp, or the default where there is none that can be read."""
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except (ValueError, OverflowError):
        return default


def one_line(text: str, limit: int) -> str:
    """The text on one printable line of at most `limit` characters."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
