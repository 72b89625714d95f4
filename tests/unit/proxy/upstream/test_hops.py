"""GOPROXY values mean to the proxy what they mean to the go command."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athens_proxy.upstream.hops import HttpHop, InvalidChain, first_http_hop, parse_chain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("direct", ["direct"]),
        ("off", ["off"]),
        ("https://a.example.com,direct", ["https://a.example.com,", "direct"]),
        (
            "https://a.example.com|http://b.example.com/x/,off",
            ["https://a.example.com|", "http://b.example.com/x,", "off"],
        ),
        ("a.example.com", ["https://a.example.com"]),
        ("a.example.com:8080/go", ["https://a.example.com:8080/go"]),
        ("localhost:8080", ["https://localhost:8080"]),
        ("file:///var/modules,direct", ["file:///var/modules,", "direct"]),
        (" https://a.example.com , , direct ", ["https://a.example.com,", "direct"]),
        ("direct,https://never.example.com", ["direct,"]),
        ("https://a.example.com//x//", ["https://a.example.com/x"]),
    ],
)
def test_a_chain_is_split_into_hops(text: str, shown: list[str]) -> None:
    links = parse_chain(text)

    assert [f"{link.hop}{'|' if link.on_any_error else ''}" for link in links] == [part.rstrip(",") for part in shown]


def test_user_information_becomes_a_header_and_is_never_shown() -> None:
    hop = first_http_hop(parse_chain("https://user:p%40ss@proxy.example.com/base?x=1"))

    assert isinstance(hop, HttpHop)
    assert hop.authorization == "Basic dXNlcjpwQHNz"
    assert "user" not in f"{hop} {hop!r}"
    assert "dXNlc" not in f"{hop} {hop!r}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",|,",
        "proxy",
        "ftp://a.example.com",
        "file://relative",
        "/var/modules",
        "https://",
        "http://user:secret@a.example.com",
        "https://user:secret@:bad",
        "https://a.example.com:99999999",
    ],
)
def test_a_bad_entry_is_refused_without_showing_its_password(text: str) -> None:
    with pytest.raises(InvalidChain) as caught:
        parse_chain(text)

    assert "secret" not in str(caught.value)
    assert str(caught.value).isprintable()


@given(st.text(alphabet="abz.:/,|@?%[] direct", max_size=40))
def test_any_text_is_a_chain_or_refused(text: str) -> None:
    try:
        links = parse_chain(text)
    except InvalidChain:
        links = ()

    assert all(str(link.hop) for link in links)
