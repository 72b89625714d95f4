"""The wire: what is streamed is what a follower reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athens_proxy.events.follow import Done
from athens_proxy.events.kinds import MAX_ID, Event, EventKind, one_line
from athens_proxy.events.messages import InvalidMessage, Message, MessageReader
from athens_proxy.web.event_stream import InvalidPosition, encoded, position_of


def read(data: bytes) -> list[Message]:
    reader = MessageReader()
    messages = (reader.feed(line) for line in data.decode().split("\n"))
    return [message for message in messages if message is not None]


@given(st.integers(1, MAX_ID), st.sampled_from(list(EventKind)), st.text(max_size=50))
def test_a_follower_reads_what_was_streamed(number: int, kind: EventKind, detail: str) -> None:
    event = Event(number, kind, "example.com/m", "v1.2.3", one_line(detail), "here")

    (message,) = read(encoded(event))

    assert (message.position, message.kind, message.detail) == (number, kind, event.detail)
    assert str(message.wanted) == "example.com/m@v1.2.3"


@pytest.mark.parametrize(
    ("module", "version"),
    [("../../etc", "v1.0.0"), ("example.com/m", "main"), ("example.com/m", "v1.0"), ("", ""), ("example.com/m", "")],
)
def test_what_names_no_canonical_version_is_about_nothing(module: str, version: str) -> None:
    (message,) = read(encoded(Event(1, EventKind.PURGED, module, version, "", "here")))

    assert message.wanted is None


def test_comments_and_retries_say_nothing_and_a_lone_id_moves_the_position() -> None:
    messages = read(b": hello\nretry: 3000\n\n: heartbeat\nid: 42\n\nevent: stored\ndata: [\ndata: ]\n\n")

    assert messages == [Message(42, "message", ""), Message(42, "stored", "[\n]")]
    assert messages[1].wanted is None


@pytest.mark.parametrize("text", ["id: x", "id: 99999999999999999", "id: -1", "id: ٣", "data: " + "x" * 100_000])
def test_a_stream_that_is_none_of_ours_is_refused(text: str) -> None:
    with pytest.raises(InvalidMessage):
        MessageReader().feed(text)


def test_the_header_of_a_reconnecting_client_wins_over_the_parameter() -> None:
    assert position_of({"Last-Event-ID": "7"}, {"since": "3"}) == 7
    assert position_of({}, {"since": "0"}) == 0
    assert position_of({}, {}) is None


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "99999999999999999", "٣", str(MAX_ID + 1)])
def test_a_position_that_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidPosition):
        position_of({}, {"since": text})


def test_the_position_of_a_follower_moves_only_behind_what_is_done() -> None:
    done = Done()
    first, second, third = done.begin(1), done.begin(2), done.begin(3)

    second()
    before = done.position
    first()
    assert before is None
    assert done.position == 2
    done.forget()
    third()
    assert done.position == 2, "what was not done comes again"
