"""How soon a proxy is looked at again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from athens_operator.next_look import (
    RESYNC_S,
    SECRET_MISSING_EVERY_S,
    SECRETS_EVERY_S,
    STUCK_EVERY_S,
    UNSETTLED_EVERY_S,
    next_look_s,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def look_s(*, has_secrets: bool = True, since_s: float = 0, **conditions: str) -> float:
    at = (NOW - timedelta(seconds=since_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
    entries = [{"type": kind, "status": status, "lastTransitionTime": at} for kind, status in conditions.items()]
    return next_look_s(entries, has_secrets=has_secrets, now=NOW)


def test_whoever_is_settled_is_looked_at_now_and_then() -> None:
    assert look_s(has_secrets=False, Ready="True", Reconciling="False") == RESYNC_S
    assert look_s(Ready="True", Reconciling="False", SecretsResolved="True") == SECRETS_EVERY_S


def test_what_is_on_its_way_is_looked_at_often_and_what_is_stuck_less() -> None:
    assert look_s(Reconciling="True", SecretsResolved="True") == UNSETTLED_EVERY_S
    assert look_s(Stalled="True") == STUCK_EVERY_S


@pytest.mark.parametrize(("missed_s", "expected_s"), [(0, 3), (-5, 3), (30, 3), (120, 12), (600, 60), (86_400, 60)])
def test_a_missing_secret_is_asked_for_often_at_first_and_then_less(missed_s: float, expected_s: float) -> None:
    assert look_s(Reconciling="True", SecretsResolved="False", since_s=missed_s) == expected_s
    assert SECRET_MISSING_EVERY_S == 3
