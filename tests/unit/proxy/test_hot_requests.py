"""Which bytes the hot path takes for a plain request, and after which ones it never looks again."""

from __future__ import annotations

import pytest

from athens_proxy.web.hot_requests import MAX_REQUEST_BYTES, PlainGet, PlainGets, is_whole, plain_get

HOST = b" HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    ("rest", "meaning"),
    [
        (HOST + b"\r\n", PlainGet("", "")),
        (HOST + b"User-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n\r\n", PlainGet("", "")),
        (HOST + b"Authorization: Basic Z28=\r\n\r\n", PlainGet("", "Basic Z28=")),
        (HOST + b"athens-request-id: one\r\n\r\n", PlainGet("one", "")),
        (HOST + b"x-request-id: 1\r\nvia: b\r\n\r\n", PlainGet("", "", is_passed_on=True)),
        (HOST + b"X-Forwarded-For: 10.0.0.1, b\r\n\r\n", PlainGet("", "", "10.0.0.1, b", is_passed_on=True)),
    ],
)
def test_plain_requests_are_understood(rest: bytes, meaning: PlainGet) -> None:
    assert plain_get(rest) == meaning


@pytest.mark.parametrize(
    "rest",
    [
        b" HTTP/1.1\r\n\r\n",
        b" HTTP/1.0\r\nHost: a\r\n\r\n",
        HOST,
        HOST + b"\r\n" + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        HOST + b"Host: b\r\n\r\n",
        HOST + b"Range: bytes=0-1\r\n\r\n",
        HOST + b"If-None-Match: *\r\n\r\n",
        HOST + b"Connection: close\r\n\r\n",
        HOST + b"Content-Length: 0\r\n\r\n",
        HOST + b"Disable-Module-Fetch: true\r\n\r\n",
        HOST + b"X-Forwarded-For: a\r\nX-Forwarded-For: b\r\n\r\n",
        HOST + b"X-Forwarded-For-Me: a\r\n\r\n",
        HOST + b"Traceparent: a\r\n\r\n",
        HOST + b"Accept : a\r\n\r\n",
        HOST + b"Accept: a\r\n folded\r\n\r\n",
        HOST + b"Accept: a\nRange: b\r\n\r\n",
        HOST + b"Accept: \xff\r\n\r\n",
        HOST + b"User-Agent: " + b"a" * MAX_REQUEST_BYTES + b"\r\n\r\n",
    ],
)
def test_everything_else_is_left_to_the_ordinary_path(rest: bytes) -> None:
    assert plain_get(rest) is None


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (b"GET /x HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n", True),
        (b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"GET /x HTTP/1.1\r\nHost: a\r\n", False),
        (b"GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET", False),
        (b"GET /x HTTP/1.1\r\nHost: a\r\ncontent-LENGTH: 4\r\n\r\n", False),
        (b"GET /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", False),
        (b"GET /x HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", False),
        (b"POST /x HTTP/1.1\r\nHost: a\r\n\r\n", False),
        (b"", False),
    ],
)
def test_only_one_whole_request_without_a_body_leaves_the_connection_where_the_next_can_begin(
    data: bytes, verdict: bool
) -> None:
    assert is_whole(data) is verdict


def test_what_was_read_is_remembered_within_a_bound() -> None:
    gets = PlainGets()
    first = gets.get(HOST + b"\r\n")

    assert gets.get(HOST + b"\r\n") is first
    for number in range(1000):
        assert gets.get(HOST + f"Athens-Request-ID: {number}\r\n\r\n".encode()) == PlainGet(str(number), "")
    assert gets.get(HOST + b"\r\n") == first
