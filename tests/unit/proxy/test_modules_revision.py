"""`.info` answers are read as the go command reads them and written as it writes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from athens_proxy.errors import BadUpstreamAnswer
from athens_proxy.modules import RevInfo


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("2018-02-14T15:44:20Z", "2018-02-14T15:44:20Z"),
        ("2018-02-14T16:44:20+01:00", "2018-02-14T16:44:20+01:00"),
        ("2018-02-14T15:44:20.5-00:30", "2018-02-14T15:44:20.5-00:30"),
        ("2018-02-14T15:44:20+00:00", "2018-02-14T15:44:20Z"),
        ("2000-01-01T00:00:00.000000001Z", "2000-01-01T00:00:00.000000001Z"),
        ("2019-04-10T19:08:52.997264Z", "2019-04-10T19:08:52.997264Z"),
    ],
)
def test_a_time_keeps_its_offset_and_fraction_as_the_go_command_keeps_them(text: str, encoded: str) -> None:
    info = RevInfo.parse(json.dumps({"Version": "v1.0.0", "Time": text}).encode())

    assert info.encode() == f'{{"Version":"v1.0.0","Time":"{encoded}"}}'.encode()


def test_fields_keep_gos_order_and_escapes() -> None:
    origin = {
        "URL": "https://u:p@example.com/m?a=1&b",
        "VCS": "git",
        "Hash": "ab",
        "Ref": "refs/tags/v1.0.0",
        "X": "dropped",
    }
    info = RevInfo.parse(json.dumps({"origin": origin, "TIME": "2018-02-14T15:44:20Z", "version": "v1.0.0"}).encode())

    assert info.time == datetime(2018, 2, 14, 15, 44, 20, tzinfo=UTC)
    assert info.encode().decode() == (
        '{"Version":"v1.0.0","Time":"2018-02-14T15:44:20Z","Origin":{"VCS":"git",'
        '"URL":"https://example.com/m?a=1\\u0026b","Hash":"ab","Ref":"refs/tags/v1.0.0"}}'
    )


@pytest.mark.parametrize("time", [None, "0001-01-01T00:00:00Z"])
def test_an_unknown_time_is_left_out(time: str | None) -> None:
    info = RevInfo.parse(json.dumps({"Version": "v1.0.0", "Time": time}).encode())

    assert (info.time, info.encode()) == (None, b'{"Version":"v1.0.0"}')


def test_what_describes_only_a_query_is_not_kept_with_a_version() -> None:
    info = RevInfo(
        "v1.0.0", None, {"VCS": "git", "TagSum": "t1:x", "TagPrefix": "sub/", "RepoSum": "r1:y", "Hash": "ab"}
    )

    assert info.of_version().origin == {"VCS": "git", "Hash": "ab"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b"\xef\xbb\xbf{}",
        b"\xff",
        b'{"Version":""}',
        b'{"Version":1}',
        b'{"Version":"v1.0.0"} trailing',
        b'{"Version":"v1.0.0","Time":""}',
        b'{"Version":"v1.0.0","Time":"yesterday"}',
        b'{"Version":"v1.0.0","Time":7}',
        b'{"Version":"v1.0.0","Time":"2018-02-30T00:00:00Z"}',
        b'{"Version":"v1.0.0","Time":"2018-02-14T15:44:60Z"}',
        b'{"Version":"v1.0.0","Time":"2018-02-14T24:00:00Z"}',
        b'{"Version":"v1.0.0","Time":"0001-01-01T00:00:00+23:00"}',
        b'{"Version":"v1.0.0","Time":"2018-02-14T15:44:20"}',
        b'{"Version":"v1.0.0","Origin":"git"}',
        b"[" * 100_000,
    ],
)
def test_what_go_would_refuse_is_a_bad_upstream_answer(data: bytes) -> None:
    with pytest.raises(BadUpstreamAnswer) as caught:
        RevInfo.parse(data)

    assert str(caught.value).isprintable()
