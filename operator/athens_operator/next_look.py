"""When a proxy is looked at again though nothing is heard of it: soon where somebody waits; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

RESYNC_S: Final = 600.0
SECRETS_EVERY_S: Final = 120.0
SECRET_MISSING_EVERY_S: Final = 3.0  # Secrets are not watched, and somebody waits
SECRET_MISSED_FOR: Final = 10  # one look in a tenth of the time that one has been missing
UNSETTLED_EVERY_S: Final = 15.0
STUCK_EVERY_S: Final = 60.0


def next_look_s(conditions: Sequence[Mapping[str, Any]], *, has_secrets: bool, now: datetime) -> float:
    """Seconds until a proxy with these conditions is looked at again, without jitter.

    Args:
        conditions: of its status.
        has_secrets: it names Secrets.
        now: with a time zone.
    """
    by_type = {entry["type"]: entry for entry in conditions}

    def has(kind: str, status: str) -> bool:
        return bool(by_type.get(kind, {}).get("status") == status)

    looks = [RESYNC_S]
    if has_secrets:
        looks.append(SECRETS_EVERY_S)
    if has("Reconciling", "True"):
        missing = has("SecretsResolved", "False")
        looks.append(_missing_look_s(by_type["SecretsResolved"], now) if missing else UNSETTLED_EVERY_S)
    if has("Stalled", "True"):
        looks.append(STUCK_EVERY_S)
    return min(looks)


def _missing_look_s(condition: Mapping[str, Any], now: datetime) -> float:
    """Often at first, so that whoever makes the Secret next waits for nothing, then less and less."""
    missed_s = (now - datetime.fromisoformat(condition["lastTransitionTime"])).total_seconds()
    return min(STUCK_EVERY_S, max(SECRET_MISSING_EVERY_S, missed_s / SECRET_MISSED_FOR))
