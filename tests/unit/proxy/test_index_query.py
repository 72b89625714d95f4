"""The parameters of `/index`: Athens' defaults, Go's numbers and times, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from athens_proxy.web.index import IndexQuery
from athens_proxy.web.parameters import InvalidParameter


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({}, IndexQuery(2000, None)),
        ({"limit": "", "since": ""}, IndexQuery(2000, None)),
        ({"limit": "+5"}, IndexQuery(5, None)),
        ({"limit": "9000000"}, IndexQuery(9_000_000, None)),
        ({"since": "2026-01-02T15:04:05Z"}, IndexQuery(2000, datetime(2026, 1, 2, 15, 4, 5, tzinfo=UTC))),
        (
            {"since": "2026-01-02T15:04:05.123456789+02:00"},
            IndexQuery(2000, datetime(2026, 1, 2, 15, 4, 5, 123456, tzinfo=timezone(timedelta(hours=2)))),
        ),
    ],
)
def test_a_query_is_read_as_athens_reads_it(values: dict[str, str], wanted: IndexQuery) -> None:
    assert IndexQuery.parse(values) == wanted


@pytest.mark.parametrize("limit", ["0", "-1", "abc", "1.5", "1_0", " 5", "١", "99999999999999999999"])
def test_a_limit_is_an_integer_above_0(limit: str) -> None:
    with pytest.raises(InvalidParameter, match="limit must be an integer"):
        IndexQuery.parse({"limit": limit})


@pytest.mark.parametrize(
    "since",
    [
        "yesterday",
        "2026-01-02",
        "2026-01-02T15:04:05",
        "2026-01-02 15:04:05Z",
        "20260102T150405Z",
        "2026-02-31T15:04:05Z",
        "2026-01-02T15:04:05 02:00",
    ],
)
def test_since_is_an_rfc_3339_time(since: str) -> None:
    with pytest.raises(InvalidParameter, match="since must be an RFC 3339 time"):
        IndexQuery.parse({"since": since})
