"""Every answer of an API server that the engine tells apart, and what it makes of it."""

from __future__ import annotations

import json

import pytest

from athens_operator.cluster import (
    Conflict,
    Forbidden,
    Invalid,
    NamespaceTerminating,
    NotFound,
    Throttled,
    Unavailable,
    refusal,
)
from athens_operator.errors import ClusterError


def status(message: str = "no", *, causes: list[dict[str, str]] | None = None) -> bytes:
    return json.dumps({"kind": "Status", "message": message, "details": {"causes": causes or []}}).encode()


@pytest.mark.parametrize(
    ("code", "body", "kind", "transient"),
    [
        (404, status(), NotFound, False),
        (409, status(), Conflict, True),
        (410, status(), Unavailable, True),
        (400, status(), Invalid, False),
        (422, status(), Invalid, False),
        (422, status(causes=[{"field": "metadata.uid"}]), Conflict, True),
        (401, status(), Forbidden, True),
        (403, status(), Forbidden, True),
        (403, status(causes=[{"reason": "NamespaceTerminating"}]), NamespaceTerminating, False),
        (429, status(), Throttled, True),
        (500, status(), Unavailable, True),
        (500, status("failed to create typed patch object (x): duplicate entries"), Invalid, False),
        (502, b"<html>bad gateway</html>", Unavailable, True),
        (503, b"", Unavailable, True),
    ],
)
def test_an_answer_means_one_thing(code: int, body: bytes, kind: type[ClusterError], transient: bool) -> None:
    error = refusal(code, body, {}, doing="apply ConfigMap a/b")

    assert type(error) is kind
    assert error.transient is transient
    assert str(error).startswith("apply ConfigMap a/b: ")


def test_the_pause_that_the_server_asks_for_is_taken_over() -> None:
    error = refusal(429, status(), {"Retry-After": "7"}, doing="list pods")

    assert isinstance(error, Throttled)
    assert error.retry_after_s == 7


def test_long_foreign_answers_are_cut() -> None:
    error = refusal(500, b"x" * 100_000, {}, doing="read")

    assert len(str(error)) < 400
