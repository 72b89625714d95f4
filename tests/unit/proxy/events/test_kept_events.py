"""What is kept of events, and what a follower that comes back is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athens_proxy.events.events import Events
from athens_proxy.events.filters import EventFilter, InvalidFilter
from athens_proxy.events.kept import OVERLAP_US, KeptEvents, merged
from athens_proxy.events.kinds import MAX_ID, Event, EventKind, decode, encode

START = 1_800_000_000_000_000


def event(number: int, *, origin: str = "here", module: str = "example.com/m", kind: str = "stored") -> Event:
    return Event(START + number, EventKind(kind), module, "v1.0.0", "detail", origin)


def kept(*events: Event, at_most: int = 100) -> KeptEvents:
    result = KeptEvents(at_most)
    for one in events:
        result.add(one)
    return result


def test_a_follower_that_comes_back_gets_exactly_what_came_after() -> None:
    events = kept(*(event(n) for n in range(5)))

    assert [e.id - START for e in events.after(START + 2).events] == [3, 4]
    assert events.after(START + 4).events == ()
    assert len(events.after(0).events) == 5


def test_events_of_another_process_that_came_late_are_told_again_to_whoever_comes_back() -> None:
    """They may have been seen in the other order at the replica that the follower comes from."""
    late = event(1, origin="other")
    early = event(1 - OVERLAP_US, origin="other")
    events = kept(early, late, event(2), event(3))

    assert events.after(START + 2).events == (late, event(3))


def test_whoever_asks_for_what_is_gone_is_told_so() -> None:
    events = kept(*(event(n) for n in range(20)), at_most=10)

    following = events.after(START - 5)

    assert following.oldest == following.events[0].id
    assert events.after(START + 15).oldest == 0
    assert events.after(0).oldest == 0, "who asks for all that is kept misses nothing"


def test_an_id_that_was_never_given_out_goes_on_behind_it() -> None:
    events = kept(event(10), event(20))

    assert events.after(START + 15).events == (event(20),)
    assert events.after(MAX_ID).events == ()


def test_an_event_is_kept_once_and_only_the_last_ones_are() -> None:
    events = kept(at_most=10)

    assert [events.add(event(n)) for n in (1, 1, 2)] == [True, False, True]
    for n in range(1000):
        events.add(event(n))
    assert len(events.newest(1000)) <= 13
    assert events.newest(1)[0] == event(999)


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from("abc")), max_size=60), st.integers(1, 20))
def test_records_merge_in_any_order_to_the_same_record(keys: list[tuple[int, str]], at_most: int) -> None:
    events = [event(number, origin=origin) for number, origin in keys]
    half = len(events) // 2

    assert merged(events[:half], events[half:], at_most=at_most) == merged(
        events[half:], events[:half], at_most=at_most
    )
    assert len({(e.id, e.origin) for e in merged(events, [], at_most=at_most)}) <= at_most


@given(st.binary(max_size=300))
def test_no_record_makes_reading_fail(data: bytes) -> None:
    decode(data)


def test_a_record_is_read_as_it_was_written_without_the_lines_that_are_none() -> None:
    events = [event(1), event(2, module="example.com/ü\u2028")]

    data = (
        b'nonsense\n[1]\n[true,"stored","","","",""]\n'
        + encode(events)
        + b'[99999999999999999999,"stored","","","",""]'
    )

    assert decode(data) == events


def test_ids_grow_when_the_clock_does_not_and_stay_numbers_that_json_can_hold() -> None:
    times = iter([START, START, START - 10_000, 2**60])
    events = Events(clock_us=lambda: next(times))

    for _ in range(4):
        events.publish("stored", "example.com/m", "v1.0.0")

    ids = [e.id for e in reversed(events.newest(4))]
    assert ids == [START, START + 1, START + 2, MAX_ID]


def test_details_become_one_short_printable_line() -> None:
    events = Events()

    events.publish("refused", "example.com/m", "", "a\nb\x1b[31m\u202e" + "x" * 1000)

    detail = events.newest(1)[0].detail
    assert detail.isprintable()
    assert detail.startswith("a b")
    assert len(detail) <= 400


def test_a_filter_takes_kinds_and_patterns() -> None:
    wanted = EventFilter.parse(["stored, purged", "evicted"], ["example.com/team,*.org"])

    assert wanted.takes(event(1, module="example.com/team/a"))
    assert wanted.takes(event(1, module="b.org/x", kind="purged"))
    assert not wanted.takes(event(1, module="example.com/other"))
    assert not wanted.takes(event(1, module="b.org", kind="refused"))
    assert EventFilter.parse([], []).takes(event(1))


@pytest.mark.parametrize(
    ("kinds", "patterns", "problem"),
    [
        (["stored,gone"], [], "kind 'gone' is not known; use some of stored, evicted"),
        ([], ["a/../b["], "unbalanced"),
        ([], ["x," * 101], "101 patterns"),
    ],
)
def test_a_filter_that_is_none_is_refused_with_what_is_allowed(
    kinds: list[str], patterns: list[str], problem: str
) -> None:
    with pytest.raises(InvalidFilter, match=problem):
        EventFilter.parse(kinds, patterns)
