"""Which entry belongs to which place."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athens_proxy.credentials.places import Match, Place, longest


@dataclass(frozen=True)
class Named:
    text: str

    @property
    def match(self) -> Match | None:
        return Match.parse(self.text)


@pytest.mark.parametrize(
    ("authority", "path", "wanted"),
    [
        ("git.example.com", "team/repo.git", "git.example.com/team"),
        ("git.example.com", "/team", "git.example.com/team"),
        ("git.example.com", "team-b/repo", "git.example.com"),
        ("git.example.com", "team/sub/repo", "git.example.com/team/sub"),
        ("git.example.com", "team/sub.git", "git.example.com/team/sub"),
        ("GIT.Example.com", "Team/repo", "git.example.com"),
        ("git.example.com:443", "team", "git.example.com/team"),
        ("git.example.com:8443", "team", "git.example.com:8443"),
        ("git.example.com:9000", "team", None),
        ("sub.git.example.com", "team", None),
        ("git.example.com.evil.com", "team", None),
        ("evil.com", "git.example.com/team", None),
        ("git.example.com", "", "git.example.com"),
    ],
)
def test_the_entry_with_most_path_counts_element_by_element(authority: str, path: str, wanted: str | None) -> None:
    entries = [
        Named(text)
        for text in (
            "git.example.com",
            "git.example.com/team",
            "git.example.com/team/sub",
            "git.example.com:8443",
        )
    ]

    found = longest(entries, Place.of_authority(authority, path))

    assert (found.text if found else None) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://git.example.com",
        "user@git.example.com",
        "git.example.com:port",
        "-x",
        "a b",
        "x/../y",
        "x//y",
        "x\n",
        "git.example.com/a?b",
        "a" * 600,
    ],
)
def test_what_is_no_host_with_a_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="use a host"):
        Match.parse(text)


_ELEMENTS = st.lists(st.sampled_from(["a", "b", "ab", "a.git"]), max_size=4)


@given(_ELEMENTS, _ELEMENTS)
def test_a_match_covers_exactly_the_paths_that_begin_with_its_elements(own: list[str], asked: list[str]) -> None:
    match = Match.parse("/".join(("h.example.com", *own)))
    plain = [element.removesuffix(".git") for element in asked]

    covers = match.covers(Place.of("h.example.com", None, "/".join(asked)))

    assert covers == (plain[: len(own)] == [element.removesuffix(".git") for element in own])
