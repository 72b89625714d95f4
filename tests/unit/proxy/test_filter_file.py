"""Athens' filter file: its grammar, its tables, and its habits."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from athens_proxy.modules import ModulePath
from athens_proxy.policy.filter_file import FilterFile, FilterRule, FilterSyntaxError

INCLUDE, EXCLUDE, DIRECT = FilterRule.INCLUDE, FilterRule.EXCLUDE, FilterRule.DIRECT


def rule(text: str, path: str, version: str = "") -> FilterRule:
    return FilterFile.parse(text).rule(ModulePath(path), version)


SUBTREE = "- github.com/a/b"
REINCLUDED = "- github.com/a/b\n+ github.com/a/b/c"
ONLY = "-\n+ github.com/a/b"
MIXED = "-\n+ github.com/a\nD github.com/a/b\n- github.com/a/b/c"
VERSIONS = "-\n+ github.com/a/b v1\nD github.com/a/b/c v1.2.*,v0.8.*"
TILDE = "-\n+ github.com/a/b ~v1.2.3,~v2.3.40"
CARET = "-\n+ github.com/a/b ^v1.2.3,^v2.3.40"
BELOW = "-\n+ github.com/a/b <v2.3.40"

TABLE = [
    (SUBTREE, "github.com/a", "", INCLUDE),
    (SUBTREE, "github.com/a/b", "", EXCLUDE),
    (SUBTREE, "github.com/a/b/c", "v1.0.0", EXCLUDE),
    (SUBTREE, "github.com/d", "", INCLUDE),
    (SUBTREE, "github.com/a/bc", "", INCLUDE),
    (SUBTREE, "github.com/A/b", "", INCLUDE),
    (REINCLUDED, "github.com/a/b", "", EXCLUDE),
    (REINCLUDED, "github.com/a/b/c", "", INCLUDE),
    (REINCLUDED, "github.com/a/b/c/d", "", INCLUDE),
    (REINCLUDED, "github.com/a/b/d", "", EXCLUDE),
    (ONLY, "github.com/a", "", EXCLUDE),
    (ONLY, "github.com/a/b", "", INCLUDE),
    (ONLY, "github.com/a/b/c", "", INCLUDE),
    (MIXED, "github.com/a", "", INCLUDE),
    (MIXED, "github.com/a/b", "", DIRECT),
    (MIXED, "github.com/a/b/c/d", "", EXCLUDE),
    (MIXED, "bitbucket.org/x/y", "", EXCLUDE),
    (VERSIONS, "github.com/a/b", "v10.0.0", EXCLUDE),
    (VERSIONS, "github.com/a/b", "v1.5.0", INCLUDE),
    (VERSIONS, "github.com/a/b/c/d", "v1.2.3", DIRECT),
    (VERSIONS, "github.com/a/b/c/d", "v0.8.9", DIRECT),
    (VERSIONS, "github.com/a/b/c/d", "v1.3.4", INCLUDE),
    (VERSIONS, "github.com/a/b/c", "", DIRECT),
    *((TILDE, "github.com/a/b", version, INCLUDE) for version in ("v1.2.3", "v1.2.5", "v2.3.45")),
    *((TILDE, "github.com/a/b", v, EXCLUDE) for v in ("v1.2.2", "v1.3.3", "v2.2.45", "v2.3.20", "v1.2.3-rc1", "main")),
    *((CARET, "github.com/a/b", v, INCLUDE) for v in ("v1.2.3", "v1.2.5", "v1.4.2", "v2.3.45", "v2.4.1")),
    *((CARET, "github.com/a/b", version, EXCLUDE) for version in ("v1.2.1", "v2.2.45")),
    *((BELOW, "github.com/a/b", v, INCLUDE) for v in ("v1.2.3", "v1.4.2", "v1.2.1", "v2.3.39", "v2.2.45", "v2.3.40")),
    (BELOW, "github.com/a/b", "v2.4.1", EXCLUDE),
    ("-\n+ a.b/c abcd,e", "a.b/c", "v1.0.0", EXCLUDE),
    ("-\n+ a.b/c ~1.2.3", "a.b/c", "v1.2.3", EXCLUDE),
    ("-\n+ a.b/c v2.3.4", "a.b/c", "v2.3.40", INCLUDE),
    ("-\n+ a.b/c v2.3.4", "a.b/c", "v2.3.4-rc1", INCLUDE),
    ("# comment\n\n  - a.b/c  \n", "a.b/c", "", EXCLUDE),
    ("-  a.b/c", "x.y/z", "", EXCLUDE),
    ("- a.b/c\n+ a.b/c", "a.b/c", "", INCLUDE),
    ("- /a.b/c/", "a.b/c", "", EXCLUDE),
    ("# only the upstream proxy\nD", "a.b/c", "v1.0.0", DIRECT),
]


@pytest.mark.parametrize(("text", "path", "version", "wanted"), TABLE)
def test_a_filter_file_means_what_it_means_to_athens(text: str, path: str, version: str, wanted: FilterRule) -> None:
    assert rule(text, path, version) is wanted


@pytest.mark.parametrize("versions", ["v1,", "*", ",", "**,v9", "v1.*,"])
def test_an_empty_version_matches_nothing_where_athens_panics(versions: str) -> None:
    assert rule(f"-\n+ a.b/c {versions}", "a.b/c", "x") is EXCLUDE


@pytest.mark.parametrize("line", ["x a.b/c", "+ a b c", "+\ta.b/c", "++ a.b/c", "d a.b/c", "a.b/c"])
def test_a_line_that_is_no_rule_is_named(line: str) -> None:
    with pytest.raises(FilterSyntaxError, match=r"^Invalid configuration found in filter file at the line 2$"):
        FilterFile.parse(f"# first\n{line}")


SIGNS = st.sampled_from(["+", "-", "D", "+", "#", "x", ""])
PATHS = st.sampled_from(["a.b/a", "a.b", "a.b/a/b", "/a.b/", "", "..."])
QUALIFIERS = st.lists(
    st.tuples(st.sampled_from(["~v", "^v", "<v", "v", "~", ""]), st.text("0123.v*-+~ x\u0661", max_size=6)).map(
        "".join
    ),
    max_size=3,
).map(",".join)
LINES = st.tuples(SIGNS, PATHS, QUALIFIERS).map(" ".join)
TEXTS = st.text("+-D# \t\nab./v12~^<*,", max_size=60) | st.lists(LINES, max_size=4).map("\n".join)


@given(
    TEXTS, st.sampled_from(["", "v1.2.3", "main", "v", "v1.2.3-pre", "v1.2.3+incompatible", "v1." + "9" * 5000 + ".0"])
)
@example("- a.b/a/b ~v1.x.3", "v1.2.3")
@example("- a.b/a/b ^v1.\u0661.3,<v-1.2.3", "v1.2.3")
def test_every_text_is_a_filter_or_a_named_line(text: str, version: str) -> None:
    with suppress(FilterSyntaxError):
        assert rule(text, "a.b/a/b", version) in FilterRule
