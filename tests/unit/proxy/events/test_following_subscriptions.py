"""Those who follow in this process: bounds, slow readers, the end."""

from __future__ import annotations

import asyncio

import pytest

from athens_proxy.errors import Overloaded
from athens_proxy.events.events import BUFFERED, Events, Subscription
from athens_proxy.events.filters import EventFilter

ALL = EventFilter()


async def versions(subscription: Subscription, events: Events) -> list[str] | None:
    batch = await subscription.next(within_s=1, newest_id=lambda: events.last_id)
    return None if batch is None else [event.version for event in batch]


async def test_a_follower_gets_what_was_kept_and_then_what_comes() -> None:
    events = Events()
    events.publish("stored", "example.com/m", "v1.0.0")

    with events.subscribed(ALL, since=0) as subscription:
        assert await versions(subscription, events) == ["v1.0.0"]
        events.publish("stored", "example.com/m", "v1.1.0")
        assert await versions(subscription, events) == ["v1.1.0"]


async def test_without_a_position_only_what_comes_is_told() -> None:
    events = Events()
    events.publish("stored", "example.com/m", "v1.0.0")

    with events.subscribed(ALL, since=None) as subscription:
        events.publish("stored", "example.com/m", "v1.1.0")

        assert await versions(subscription, events) == ["v1.1.0"]


async def test_a_reader_that_leaves_a_thousand_events_unread_is_let_go_and_others_are_not() -> None:
    events, dropped = Events(), asyncio.Event()

    with (
        events.subscribed(ALL, since=None, on_drop=dropped.set) as slow,
        events.subscribed(EventFilter.parse([], ["example.org"]), since=None) as other,
    ):
        for n in range(BUFFERED + 1):
            events.publish("stored", "example.com/m", f"v1.{n}.0")
        events.publish("stored", "example.org/m", "v1.0.0")

        assert dropped.is_set()
        assert await versions(slow, events) is None
        assert await versions(other, events) == ["v1.0.0"]


async def test_all_that_is_kept_reaches_whoever_asks_for_it_even_if_it_is_more_than_the_buffer() -> None:
    events = Events()
    for n in range(2 * BUFFERED):
        events.publish("stored", "example.com/m", f"v1.{n}.0")

    with events.subscribed(ALL, since=0) as subscription:
        events.publish("stored", "example.com/m", "v2.0.0")

        told = await versions(subscription, events)
    assert told is not None
    assert len(told) == 2 * BUFFERED + 1


async def test_one_follower_too_many_is_told_to_come_later() -> None:
    events = Events(at_most_subscribers=1)

    with events.subscribed(ALL, since=None), pytest.raises(Overloaded, match="1 follow already; ask again later"):
        events.subscribed(ALL, since=None).__enter__()

    with events.subscribed(ALL, since=None):
        assert events.subscribers == 1
    assert events.subscribers == 0


async def test_released_followers_may_come_back_but_not_to_a_process_that_ends() -> None:
    events = Events()

    with events.subscribed(ALL, since=None) as subscription:
        events.release()
        assert await versions(subscription, events) is None
    with events.subscribed(ALL, since=None):
        events.end()
    with pytest.raises(Overloaded, match="ending"):
        events.subscribed(ALL, since=None).__enter__()


async def test_silence_moves_the_position_of_a_follower_that_wants_little() -> None:
    events = Events()

    with events.subscribed(EventFilter.parse(["purged"], []), since=None) as subscription:
        events.publish("stored", "example.com/m", "v1.0.0")

        assert await subscription.next(within_s=0.001, newest_id=lambda: events.last_id) == ()
        assert subscription.position == events.last_id
