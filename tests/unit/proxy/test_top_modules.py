"""Counting the most frequent names in bounded memory."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from athens_proxy.space_saving import Frequent, SpaceSaving
from athens_proxy.web.top import CAPACITY, Top


@given(st.lists(st.tuples(st.sampled_from("abcdefghij"), st.integers(1, 5)), max_size=200), st.integers(1, 12))
def test_counts_are_never_too_low_and_say_how_much_too_high_they_may_be(
    seen: list[tuple[str, int]], capacity: int
) -> None:
    counts, truth = SpaceSaving(capacity), Counter[str]()
    for name, times in seen:
        counts.add(name, times)
        truth[name] += times

    top = counts.top(capacity)

    assert len(top) == min(capacity, len(truth))
    assert [one.count for one in top] == sorted((one.count for one in top), reverse=True)
    assert sum(one.count for one in top) == sum(truth.values())
    assert all(one.count - one.error <= truth[one.name] <= one.count for one in top)
    assert {name for name, times in truth.items() if times > sum(truth.values()) / capacity} <= {
        one.name for one in top
    }


def test_with_room_for_all_names_counts_are_exact() -> None:
    counts = SpaceSaving(10)
    for name in "abcabca":
        counts.add(name)

    assert counts.top(2) == [Frequent("a", 3, 0), Frequent("b", 2, 0)]


def test_strangers_cannot_make_the_page_grow() -> None:
    top = Top(prefix="", now=lambda: datetime(2026, 1, 2, tzinfo=UTC))
    for number in range(5 * CAPACITY):
        top.asked(f"/example.com/m{number}/@v/list", is_missed=True)
        top.asked("/example.com/popular/@v/v1.0.0.zip")
    for other in ("/", "/-/top", "/metrics", "/%zz", "/no-module/@v/list", "/sumdb/x/supported"):
        top.asked(other)

    page = top.described(CAPACITY)

    assert page["since"] == "2026-01-02T00:00:00Z"
    assert len(page["asked"]) == len(page["missed"]) == CAPACITY
    assert page["asked"][0] == {"module": "example.com/popular", "count": 5 * CAPACITY, "atLeast": 5 * CAPACITY}
    assert "example.com/popular" not in {one["module"] for one in page["missed"]}
