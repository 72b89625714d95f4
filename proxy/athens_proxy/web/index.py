"""The query of `/index`, checked as Athens does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime


def index_query_problem(query: Mapping[str, str]) -> str:
    """What is wrong with `limit` or `since`, "" if nothing."""
    limit = query.get("limit", "2000")
    if not (limit.isascii() and limit.isdigit() and int(limit) > 0):
        return "limit must be an integer above 0"
    since = query.get("since", "")
    try:
        is_instant = not since or datetime.fromisoformat(since).tzinfo is not None
    except ValueError:
        is_instant = False
    return "" if is_instant else "since must be an RFC 3339 time such as 2026-01-02T15:04:05Z"
