"""Patterns match exactly as Go's path.Match does, on as many leading elements as they have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athens_policy.conflicts import is_unreachable
from athens_policy.index import covers
from athens_policy.patterns import InvalidPattern, Pattern
from support.go_path_match import BadPattern, match_prefix, path_match

# Go: src/path/match_test.go, the rows without an error and with ASCII names
GO_MATCHES = [
    ("abc", "abc", True),
    ("*", "abc", True),
    ("*c", "abc", True),
    ("a*", "a", True),
    ("a*", "abc", True),
    ("a*/b", "abc/b", True),
    ("a*/b", "a/c/b", False),
    ("a*b*c*d*e*/f", "axbxcxdxe/f", True),
    ("a*b*c*d*e*/f", "axbxcxdxexxx/f", True),
    ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", False),
    ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", False),
    ("a*b?c*x", "abxbbxdbxebxczzx", True),
    ("a*b?c*x", "abxbbxdbxebxczzy", False),
    ("ab[c]", "abc", True),
    ("ab[b-d]", "abc", True),
    ("ab[e-g]", "abc", False),
    ("ab[^c]", "abc", False),
    ("ab[^b-d]", "abc", False),
    ("ab[^e-g]", "abc", True),
    ("a\\*b", "a*b", True),
    ("a\\*b", "ab", False),
    ("[\\]a]", "]", True),
    ("[\\-]", "-", True),
    ("[x\\-]", "x", True),
    ("[x\\-]", "-", True),
    ("[x\\-]", "z", False),
    ("[\\-x]", "a", False),
    ("*x", "xxx", True),
]
GO_MALFORMED = ["[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "[^bc", "a[", "a/b["]
ATHENS = [
    ("example.com/*", "example.com/athens", True),
    ("example.com/*", "example.com/athens/pkg", True),
    ("*.example.com/*", "go.example.com/athens/pkg", True),
    ("*.example.com/mod", "go.example.com/mod/example", True),
    ("*.example.com/mod", "go.example.com/pkg/example", False),
    ("*.example.com/mod/pkg", "go.example.com/pkg", False),
    ("[]a]", "]", False),
    ("*", "github.com/gomods/athen", True),
    ("example.com/foo", "example.com/foo/sub", True),
    ("example.com/foo", "example.com/foobar", False),
    ("github.com/private/repo*", "github.com/private/repo@v0.0.1", True),
    ("github.com/private/*/*", "github.com/private/repo@v0.0.1", False),
    ("", "example.com", False),
]


@pytest.mark.parametrize(("pattern", "path", "expected"), GO_MATCHES + ATHENS)
def test_a_pattern_matches_as_in_go_and_athens(pattern: str, path: str, expected: bool) -> None:
    assert Pattern.of_file(pattern).matches(path) is expected


@pytest.mark.parametrize("pattern", GO_MALFORMED)
def test_a_malformed_pattern_of_a_file_matches_nothing(pattern: str) -> None:
    malformed = Pattern.of_file(pattern)
    assert malformed.malformed
    assert not any(malformed.matches(path) for path in ("a", "]", "-", "ab", pattern, f"{pattern}/x"))


@given(
    pattern=st.text("ab/c*?[]^-\\.", max_size=10),
    path=st.text("abc/.-]", max_size=10),
)
def test_every_pattern_matches_as_a_port_of_the_go_source(pattern: str, path: str) -> None:
    try:
        path_match(pattern, "")
        malformed = False
    except BadPattern:
        malformed = True
    assert Pattern.of_file(pattern).malformed is malformed
    assert Pattern.of_file(pattern).matches(path) is match_prefix(pattern, path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("/a.com", "empty element"),
        ("a.com/", "empty element"),
        ("a.com//b", "empty element"),
        ("a.com/...", "'...'"),
        ('a.com"', "character"),
        ("a.com/${x}", "character"),
        ("a.com\n", "character"),
        ("a.com\\b", "character"),
        ("ä.com", "character"),
        ("a.com/[b", "class"),
        ("a.com/[]", "class"),
        ("a.com/[b/c]", "class"),
        ("a" * 256, "at most 255"),
    ],
)
def test_a_rule_refuses_what_no_pattern_can_mean(text: str, says: str) -> None:
    with pytest.raises(InvalidPattern, match=says) as refused:
        Pattern.parse(text)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("text", ["*", "example.com/*/v2", "*.corp.example/[a-c]?", "github.com/Azure/go~x_1"])
def test_a_rule_takes_every_pattern_of_the_documented_alphabet(text: str) -> None:
    assert Pattern.parse(text).text == text


@pytest.mark.parametrize(
    ("covering", "covered", "expected"),
    [
        ("*", "example.com/a", True),
        ("*", "*/x", True),
        ("example.com/*", "example.com/a", True),
        ("example.com/a", "example.com/a/b", True),
        ("example.com/a/b", "example.com/a", False),
        ("example.com/a*", "example.com/ab", True),
        ("example.com/a*", "example.com/ab*", True),
        ("example.com/a*b", "example.com/a*", False),
        ("example.com/?*", "example.com/*", True),  # no element is empty
        ("example.com/[a-c]*", "example.com/[ab]?", True),
        ("example.com/*a*", "example.com/*ba*", True),
        ("example.com/[a-c]", "example.com/[b-d]", False),
        ("example.com/a*", "example.com/a*", True),
        ("*/*", "example.com", False),
    ],
)
def test_covering_is_judged_element_by_element(covering: str, covered: str, expected: bool) -> None:
    assert covers(Pattern.parse(covering), Pattern.parse(covered)) is expected


ELEMENT = st.sampled_from(["a.b", "a", "b", "*", "a*", "*b", "?", "[ab]", "a.?", "x.y"])
GLOB = st.lists(ELEMENT, min_size=1, max_size=3).map("/".join)


@given(
    covering=GLOB,
    covered=GLOB,
    path=st.lists(st.sampled_from(["a.b", "a", "b", "ab", "x.y"]), min_size=1).map("/".join),
)
def test_a_covering_pattern_matches_whatever_the_covered_one_does(covering: str, covered: str, path: str) -> None:
    if covers(Pattern.parse(covering), Pattern.parse(covered)) and Pattern.parse(covered).matches(path):
        assert Pattern.parse(covering).matches(path)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("example.com/x", False),
        ("*", False),
        ("*/x", False),
        ("golang", True),  # no dot in the first element
        ("Example.com/x", True),
        ("ex_ample.com", True),
        ("-example.com", True),
        ("example.com/.hidden", True),
        ("example.com/x.", True),
        ("example.com/con", True),
        ("example.com/aux.go", True),
        ("example.com/name~1", True),
        ("example.com/[A-Z]x", False),
        ("[a-z]*.com", False),
    ],
)
def test_a_pattern_that_no_module_path_can_match_is_recognised(pattern: str, expected: bool) -> None:
    assert is_unreachable(Pattern.parse(pattern)) is expected
