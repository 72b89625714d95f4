"""How locks and indexes are named: Redis endpoints, connection parameters, and the lines of `/index`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from athens_proxy.config.values import go_map
from athens_proxy.index.index import IndexLine
from athens_proxy.index.settings import InvalidParameter, seconds
from athens_proxy.stash import redis_endpoints
from athens_proxy.stash.redis_endpoints import InvalidEndpoint, RedisEndpoint
from athens_proxy.web.index import index_body

HOST = (("db.example.com", 6380),)


@pytest.mark.parametrize(
    ("endpoint", "password", "wanted"),
    [
        ("db.example.com:6380", "", RedisEndpoint(HOST)),
        ("db.example.com:6380", "pw", RedisEndpoint(HOST, password="pw")),
        ("redis://db.example.com:6380", "pw", RedisEndpoint(HOST, password="pw")),
        ("redis://user:pw@db.example.com:6380/3", "", RedisEndpoint(HOST, username="user", password="pw", db=3)),
        ("redis://:p%40w@db.example.com:6380", "p@w", RedisEndpoint(HOST, password="p@w")),
        ("rediss://db.example.com:6380", "pw", RedisEndpoint(HOST, is_tls=True, password="pw")),
        ("redis://db.example.com", "", RedisEndpoint((("db.example.com", 6379),))),
        ("[::1]:6380", "", RedisEndpoint((("::1", 6380),))),
    ],
)
def test_a_server_is_named_as_in_athens(endpoint: str, password: str, wanted: RedisEndpoint) -> None:
    assert redis_endpoints.single(endpoint, password) == wanted


def test_a_cluster_is_a_list_whose_first_url_says_how_to_connect() -> None:
    endpoint = redis_endpoints.cluster("a.example.com:1, rediss://user:pw@b.example.com:2,c.example.com:3,", "pw")

    assert endpoint.nodes == (("a.example.com", 1), ("b.example.com", 2), ("c.example.com", 3))
    assert (endpoint.is_tls, endpoint.username, endpoint.password) == (True, "user", "pw")
    assert str(endpoint) == "a.example.com:1,b.example.com:2,c.example.com:3"


@pytest.mark.parametrize("names", [redis_endpoints.single, redis_endpoints.cluster])
def test_two_passwords_that_differ_are_refused_unseen(names: object) -> None:
    with pytest.raises(InvalidEndpoint, match="please ensure these values match") as refused:
        names("redis://:first@db.example.com:1", "second")  # type: ignore[operator]

    assert "first" not in str(refused.value)
    assert "second" not in str(refused.value).replace("specific", "")


@pytest.mark.parametrize("endpoint", ["", "db.example.com", "db:x", "user:pw@db:1", "redis://db:x", "redis://db:1/x"])
def test_what_names_no_server_is_refused(endpoint: str) -> None:
    with pytest.raises(InvalidEndpoint, match="host:port") as refused:
        redis_endpoints.single(endpoint, "")

    assert "pw" not in str(refused.value)


def test_a_password_is_never_part_of_a_text() -> None:
    endpoint = redis_endpoints.single("redis://user:pw@db.example.com:1", "")

    assert "pw" not in f"{endpoint} {endpoint!r}"


@pytest.mark.parametrize("endpoints", [[], ["  "], ["db"]])
def test_sentinels_need_addresses(endpoints: list[str]) -> None:
    with pytest.raises(InvalidEndpoint, match="host:port"):
        redis_endpoints.sentinels(endpoints)


@pytest.mark.parametrize(
    ("text", "wanted"), [("30", 30), ("30s", 30), ("1m30s", 90), ("500ms", 0.5), ("1.5s", 1.5), ("2h", 7200)]
)
def test_durations_are_go_s_or_plain_seconds(text: str, wanted: float) -> None:
    assert seconds("timeout", text) == wanted


@pytest.mark.parametrize("text", ["", "0", "0s", "soon", "-1s", "٣s"])
def test_what_is_no_duration_is_named(text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"^timeout: "):
        seconds("timeout", text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("", {}), ("a:b", {"a": "b"}), ("parseTime:true,timeout:90s", {"parseTime": "true", "timeout": "90s"})],
)
def test_a_map_is_pairs_between_commas(text: str, wanted: dict[str, str]) -> None:
    assert go_map(text) == wanted


@pytest.mark.parametrize("text", ["a", "a:b:c", "a:b,", "parseTime:true,timeout=90s"])
def test_what_is_no_map_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="name:value"):
        go_map(text)


@pytest.mark.parametrize(
    ("instant", "wanted"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 123450, UTC), "2026-01-02T03:04:05.12345Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 0, UTC), "2026-01-02T03:04:05Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 1, timezone(timedelta(hours=1))), "2026-01-02T02:04:05.000001Z"),
    ],
)
def test_lines_are_as_go_writes_them(instant: datetime, wanted: str) -> None:
    body = index_body([IndexLine("github.com/Azure/x", "v1.0.0", instant)] * 2)

    assert body == f'{{"Path":"github.com/Azure/x","Version":"v1.0.0","Timestamp":"{wanted}"}}\n'.encode() * 2
