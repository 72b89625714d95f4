"""Versions order as in golang.org/x/mod/semver; ranges and durations take what is documented and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athens_policy import durations, semver
from athens_policy.durations import InvalidDuration
from athens_policy.versions import InvalidRange, VersionRange

# golang.org/x/mod/semver/semver_test.go: (version, canonical form), in ascending order where valid
GO_VERSIONS = [
    ("bad", ""),
    ("v1-alpha.beta.gamma", ""),
    ("v1-pre", ""),
    ("v1+meta", ""),
    ("v1.2-pre", ""),
    ("v1.2+meta", ""),
    ("v1.0.0-alpha", "v1.0.0-alpha"),
    ("v1.0.0-alpha.1", "v1.0.0-alpha.1"),
    ("v1.0.0-alpha.beta", "v1.0.0-alpha.beta"),
    ("v1.0.0-beta", "v1.0.0-beta"),
    ("v1.0.0-beta.2", "v1.0.0-beta.2"),
    ("v1.0.0-beta.11", "v1.0.0-beta.11"),
    ("v1.0.0-rc.1", "v1.0.0-rc.1"),
    ("v1", "v1.0.0"),
    ("v1.0", "v1.0.0"),
    ("v1.0.0", "v1.0.0"),
    ("v1.2", "v1.2.0"),
    ("v1.2.0", "v1.2.0"),
    ("v1.2.3-456", "v1.2.3-456"),
    ("v1.2.3-456.789", "v1.2.3-456.789"),
    ("v1.2.3-456-789", "v1.2.3-456-789"),
    ("v1.2.3-456a", "v1.2.3-456a"),
    ("v1.2.3-pre", "v1.2.3-pre"),
    ("v1.2.3-pre+meta", "v1.2.3-pre"),
    ("v1.2.3-pre.1", "v1.2.3-pre.1"),
    ("v1.2.3-zzz", "v1.2.3-zzz"),
    ("v1.2.3", "v1.2.3"),
    ("v1.2.3+meta", "v1.2.3"),
    ("v1.2.3+meta-pre", "v1.2.3"),
    ("v1.2.3+meta-pre.sha.256a", "v1.2.3"),
]


@pytest.mark.parametrize(("version", "canonical"), GO_VERSIONS)
def test_validity_and_canonical_form_are_those_of_go(version: str, canonical: str) -> None:
    assert semver.canonical(version) == canonical
    assert semver.is_valid(version) is (canonical != "")


def test_versions_compare_as_in_go() -> None:
    for i, (a, canonical_a) in enumerate(GO_VERSIONS):
        for j, (b, canonical_b) in enumerate(GO_VERSIONS):
            expected = 0 if canonical_a == canonical_b else -1 if i < j else 1
            assert semver.compare(a, b) == expected, (a, b)


@pytest.mark.parametrize(
    "version",
    [
        "",
        "1.2.3",
        "v",
        "v01.2.3",
        "v1.02.3",
        "v1.2.03",
        "v1.2.3-",
        "v1.2.3-01",
        "v1.2.3-a..b",
        "v1.2.3+",
        "v1.2.3\n",
        "V1",
    ],
)
def test_what_go_refuses_is_no_version(version: str) -> None:
    assert not semver.is_valid(version)
    assert semver.major(version) == semver.prerelease(version) == semver.build(version) == ""


def test_the_parts_of_a_version_keep_their_signs() -> None:
    version = "v2.1.0-pre.1+incompatible"
    assert (semver.major(version), semver.prerelease(version), semver.build(version)) == (
        "v2",
        "-pre.1",
        "+incompatible",
    )


def test_numbers_have_no_upper_bound() -> None:
    huge = "9" * 10_000
    assert semver.compare(f"v1.{huge}.0", f"v1.{huge}0.0") == -1
    assert semver.compare(f"v1.0.0-{huge}", "v1.0.0-a") == -1


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("v0.0.0-20191109021931-daa7c04131f5", True),
        ("v1.2.4-0.20191109021931-daa7c04131f5", True),
        ("v1.2.3-pre.0.20191109021931-daa7c04131f5", True),
        ("v2.0.1-0.20191109021931-daa7c04131f5+incompatible", True),
        ("v1.2.3-20191109021931-daa7c04131f5", False),
        ("v1.2.3", False),
        ("v0.0.0-20191109021931", False),
        ("v0.0.0-20191109021931-daa7c04131f5\n", False),
    ],
)
def test_pseudo_versions_are_recognised(version: str, expected: bool) -> None:
    assert semver.is_pseudo_version(version) is expected


def test_sorting_puts_the_oldest_first_and_breaks_ties_by_text() -> None:
    ordered = ["nonsense", "v1.0.0-rc.1", "v1.0.0", "v1.0.0+incompatible", "v1.9.0", "v1.10.0"]
    assert sorted(reversed(ordered), key=semver.sort_key) == ordered


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (">=v0.25.0 <v0.31.0", ["v0.25.0", "v0.30.9", "v0.31.0-rc.1"], ["v0.24.9", "v0.31.0", "v0.25.0-rc.1"]),
        ("=v1.2.3", ["v1.2.3"], ["v1.2.4", "v1.2.3-pre"]),
        ("=v2.0.0+incompatible", ["v2.0.0+incompatible"], ["v2.0.1+incompatible"]),
        (">v1.0.0", ["v1.0.1-0.20191109021931-daa7c04131f5"], ["v1.0.0", "v0.0.0-20191109021931-daa7c04131f5"]),
        ("<=v1.0.0", ["v1.0.0", "v0.0.0-20191109021931-daa7c04131f5"], ["v1.0.1"]),
    ],
)
def test_a_range_holds_the_versions_between_its_bounds(text: str, inside: list[str], outside: list[str]) -> None:
    versions = VersionRange.parse(text)
    assert [version for version in inside + outside if versions.contains(version)] == inside


@pytest.mark.parametrize("query", ["latest", "v1", "v1.2", "master", "1.2.3", "", "v1.2.3+meta", "daa7c04131f5"])
def test_a_query_is_in_no_range(query: str) -> None:
    assert not VersionRange.parse(">=v0.0.0-0").contains(query)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a version range"),
        ("v1.0.0", "not a version range"),
        (">=1.0.0", "not a version range"),
        (">=v1", "not a full version"),
        (">=v1.2", "not a full version"),
        (">= v1.0.0", "not a version range"),
        (">=v1.0.0  <v2.0.0", "not a version range"),
        (">=v1.0.0,<v2.0.0", "not a version range"),
        (">=v1.0.0+meta", "not a full version"),
        ("^v1.0.0", "not a version range"),
        (">=v2.0.0 <v1.0.0", "no version can satisfy"),
        (">v1.0.0 <=v1.0.0", "no version can satisfy"),
        ("=v1.0.0 =v2.0.0", "no version can satisfy"),
        (">=v1.0.0 " * 40, "at most 256"),
        ('>=v1.0.0"\n', "not a version range"),
    ],
)
def test_a_malformed_or_empty_range_is_refused_with_the_fix(text: str, says: str) -> None:
    with pytest.raises(InvalidRange, match=says) as refused:
        VersionRange.parse(text)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(("text", "seconds"), [("72h", 259_200), ("1h30m", 5_400), ("90s", 90), ("1m1h", 3_660)])
def test_a_duration_counts_hours_minutes_and_seconds(text: str, seconds: int) -> None:
    assert durations.parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "3d", "-1h", "1.5h", "1h ", "h", "999999h999999h", "1h" * 40, "١h"])
def test_an_impossible_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidDuration):
        durations.parse_seconds(text)


@given(st.integers(1, durations.MAX_S))
def test_a_duration_is_written_as_it_is_read(seconds: int) -> None:
    assert durations.parse_seconds(durations.text_of(seconds)) == seconds
