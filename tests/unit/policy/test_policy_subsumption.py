"""Whether one pattern covers another is decided exactly: brute force over all short texts never disagrees."""

import itertools
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from athens_policy.elements import Element, element
from athens_policy.index import PatternIndex, covers
from athens_policy.patterns import Pattern

WORDS = ["".join(letters) for length in range(1, 7) for letters in itertools.product("abc", repeat=length)]
ELEMENTS = st.lists(st.sampled_from(["a", "b", "*", "?", "[ab]", "[^a]", "[a-b]", "\\a"]), min_size=1, max_size=4).map(
    "".join
)


@lru_cache(maxsize=4096)
def texts_of(text: str) -> frozenset[str]:
    """The short texts that the element matches; `c` stands for all that no element names."""
    return frozenset(word for word in WORDS if Pattern(text).matches_elements(word))


@given(ELEMENTS, ELEMENTS)
def test_one_element_covers_another_exactly_when_it_matches_all_of_its_texts(covering: str, covered: str) -> None:
    assert element(covering).covers(element(covered)) is (texts_of(covered) <= texts_of(covering))


HOSTS = ["".join(letters) for length in range(1, 6) for letters in itertools.product("ab-.A", repeat=length)]


@settings(max_examples=50)
@given(st.lists(st.sampled_from([".", "a", "A", "-", "*", "?", "[.\\-]", "[^a]"]), min_size=1, max_size=4).map("".join))
def test_an_element_is_reachable_exactly_when_some_host_or_folder_matches(text: str) -> None:
    matching = [host for host in HOSTS if Pattern(text).matches_elements(host) and not host.endswith(".")]
    folders = [name for name in matching if not name.startswith(".")]
    names = [name for name in folders if not name.startswith("-") and "." in name and "A" not in name]

    assert Element(text).can_match(as_host=False) is bool(folders)
    assert Element(text).can_match(as_host=True) is bool(names)


PATTERNS = st.lists(st.sampled_from(["a.b", "a", "*", "a*", "*b", "?", "[ab]", "a*b"]), min_size=1, max_size=3).map(
    "/".join
)


@given(st.lists(PATTERNS, max_size=12), PATTERNS)
def test_the_index_finds_every_pattern_that_covers_and_no_other(known: list[str], covered: str) -> None:
    index: PatternIndex[str] = PatternIndex()
    for text in known:
        index.add(Pattern(text), text)
    found = {text for values in index.covering(Pattern(covered)) for text in values}

    assert found == {text for text in known if covers(Pattern(text), Pattern(covered))}


@pytest.mark.parametrize(("pattern", "path"), [("x.com[/]y", "x.com/y"), ("x.com\\/y", "x.com/y")])
def test_a_files_pattern_that_hides_its_slash_is_found_too(pattern: str, path: str) -> None:
    index: PatternIndex[int] = PatternIndex()
    index.add(Pattern.of_file(pattern), 1)

    assert index.matching(path) == ([1] if Pattern.of_file(pattern).matches(path) else [])


def test_an_element_too_entangled_to_follow_is_not_said_to_cover() -> None:
    entangled = element("*a" + "?" * 40 + "*b")

    assert not entangled.covers(element("*[ab]*[ab]*" + "?" * 41 + "b"))
