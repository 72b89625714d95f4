"""The first covering block decides; audit blocks are counted and passed; ages, ranges and URLs are as documented."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athens_policy.decide import (
    Decision,
    Denied,
    Effect,
    FetchAsync,
    FetchSync,
    NotServed,
    Redirect,
    compile_policy,
    decide,
    decide_module,
    digest,
    visible,
)
from athens_policy.model import ATHENS_MODES, Block, DownloadFile, Mode
from athens_policy.patterns import Pattern
from athens_policy.versions import VersionRange

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "https://goproxy.example.com"
OTHER_URL = "https://mirror.example.org/go"
MODULE = "example.com/team/lib"


def block(
    pattern: str,
    mode: Mode,
    *,
    url: str = "",
    versions: str = "",
    min_age_s: int | None = None,
    upstream: str = "",
    audit: bool = False,
    name: str = "",
    reason: str = "",
) -> Block:
    ranges = VersionRange.parse(versions) if versions else None
    return Block(Pattern.of_file(pattern), mode, url, ranges, min_age_s, upstream, audit, name, reason)


def asked(file: DownloadFile, version: str = "v1.0.0", *, first_seen: datetime | None = None) -> Decision:
    return decide(compile_policy(file), MODULE, version, first_seen=first_seen, now=NOW)


EFFECTS: dict[Mode, Effect] = {
    Mode.SYNC: FetchSync(),
    Mode.ASYNC: FetchAsync(),
    Mode.NONE: NotServed(),
    Mode.REDIRECT: Redirect(URL, also_fetch=False),
    Mode.ASYNC_REDIRECT: Redirect(URL, also_fetch=True),
    Mode.DENY: Denied("rule", "why"),
}


@pytest.mark.parametrize("mode", EFFECTS)
@pytest.mark.parametrize("default", ATHENS_MODES)
def test_each_mode_of_a_block_has_its_effect_whatever_the_default(mode: Mode, default: Mode) -> None:
    covering = block("example.com/*", mode, url=URL, name="rule", reason="why")
    decision = asked(DownloadFile(default, OTHER_URL, (covering,)))
    assert decision == Decision(EFFECTS[mode], covering, "", ())


@pytest.mark.parametrize("default", ATHENS_MODES)
def test_without_a_covering_block_the_default_decides(default: Mode) -> None:
    decision = asked(DownloadFile(default, URL, (block("example.org", Mode.DENY),)))
    assert decision == Decision(EFFECTS[default], None, "", ())


@pytest.mark.parametrize("default", ATHENS_MODES)
def test_allow_is_the_default_mode_in_front_of_a_broader_block(default: Mode) -> None:
    exception = block(MODULE, Mode.ALLOW)
    decision = asked(DownloadFile(default, URL, (exception, block("*", Mode.DENY, url=OTHER_URL))))
    assert decision == Decision(EFFECTS[default], exception, "", ())


def test_the_first_covering_block_wins() -> None:
    first, second = block("example.com/*", Mode.NONE), block(MODULE, Mode.DENY)
    assert asked(DownloadFile(Mode.SYNC, "", (first, second))).block is first
    assert asked(DownloadFile(Mode.SYNC, "", (second, first))).block is second


def test_a_redirect_takes_the_first_url_of_a_matching_block_as_athens_does() -> None:
    blocks = (
        block("*", Mode.REDIRECT),
        block("example.org", Mode.SYNC, url=URL),
        block(MODULE, Mode.SYNC, url=OTHER_URL),
    )
    assert asked(DownloadFile(Mode.SYNC, URL, blocks)).effect == Redirect(OTHER_URL, also_fetch=False)


def test_a_redirect_without_any_url_is_not_served_and_says_why() -> None:
    effect = asked(DownloadFile(Mode.REDIRECT, "")).effect
    assert isinstance(effect, NotServed)
    assert "downloadURL" in effect.reason


def test_audit_blocks_are_reported_and_passed() -> None:
    audits = (block("*", Mode.DENY, audit=True), block("example.com", Mode.NONE, audit=True, min_age_s=60))
    behind = block(MODULE, Mode.ASYNC)
    decision = asked(DownloadFile(Mode.SYNC, "", (audits[0], block("example.org", Mode.DENY), audits[1], behind)))
    assert decision == Decision(FetchAsync(), behind, "", audits)


def test_audit_blocks_that_do_not_hold_the_version_are_not_reported() -> None:
    file = DownloadFile(Mode.SYNC, "", (block("*", Mode.DENY, audit=True, versions=">=v2.0.0"),))
    assert asked(file, "v1.0.0").audited == ()
    assert len(asked(file, "v2.0.0").audited) == 1


def test_versions_limit_a_block_and_the_next_one_decides_about_the_rest() -> None:
    denied, rest = block("*", Mode.DENY, versions="<v1.2.0"), block("*", Mode.NONE)
    file = DownloadFile(Mode.SYNC, "", (denied, rest))
    assert asked(file, "v1.1.9").block is denied
    assert asked(file, "v1.2.0").block is rest
    assert asked(file, "latest").block is rest


def test_the_upstream_of_the_deciding_block_is_handed_over() -> None:
    file = DownloadFile(Mode.SYNC, "", (block("*", Mode.SYNC, upstream="https://go.example.com,direct"),))
    assert asked(file).upstream == "https://go.example.com,direct"


class TestMinimumAge:
    file = DownloadFile(Mode.SYNC, "", (block("*", Mode.ALLOW, min_age_s=3600, name="fresh", reason="too new"),))

    def test_an_unknown_age_counts_as_too_young(self) -> None:
        assert asked(self.file).effect == Denied("fresh", "too new", None)

    def test_a_young_version_is_denied_with_the_time_when_it_is_old_enough(self) -> None:
        seen = NOW - timedelta(minutes=59)
        assert asked(self.file, first_seen=seen).effect == Denied("fresh", "too new", seen + timedelta(hours=1))

    def test_a_version_that_is_old_enough_follows_the_mode(self) -> None:
        assert asked(self.file, first_seen=NOW - timedelta(hours=1)).effect == FetchSync()

    def test_a_list_of_the_module_is_answered(self) -> None:
        assert decide_module(compile_policy(self.file), MODULE).effect == FetchSync()


class TestQuestionsWithoutAVersion:
    def test_a_deny_without_versions_refuses_the_list(self) -> None:
        file = DownloadFile(Mode.SYNC, "", (block("example.com/*", Mode.DENY, name="n", reason="r"),))
        assert decide_module(compile_policy(file), MODULE).effect == Denied("n", "r")

    def test_a_deny_with_versions_leaves_the_list_open(self) -> None:
        file = DownloadFile(Mode.SYNC, "", (block("*", Mode.DENY, versions="<v1.0.0"),))
        assert decide_module(compile_policy(file), MODULE).effect == FetchSync()

    def test_an_exception_for_some_versions_in_front_of_a_deny_leaves_the_list_open(self) -> None:
        exception = block(MODULE, Mode.ALLOW, versions=">=v1.0.0")
        file = DownloadFile(Mode.SYNC, "", (exception, block("*", Mode.DENY)))
        policy = compile_policy(file)
        assert decide_module(policy, MODULE).block is exception
        assert visible(policy, MODULE, ["v0.9.0", "v1.0.0"], first_seen=lambda _: None) == ["v1.0.0"]

    def test_an_audited_deny_is_reported_only(self) -> None:
        audited = block("*", Mode.DENY, audit=True)
        decision = decide_module(compile_policy(DownloadFile(Mode.SYNC, "", (audited,))), MODULE)
        assert decision == Decision(FetchSync(), None, "", (audited,))


class TestVisibleVersions:
    def test_denied_versions_leave_the_list_and_the_order_stays(self) -> None:
        file = DownloadFile(Mode.SYNC, "", (block("*", Mode.DENY, versions=">=v0.25.0 <v0.31.0"),))
        versions = ["v0.31.0", "v0.24.0", "v0.25.0", "v0.30.0-rc.1"]
        assert visible(compile_policy(file), MODULE, versions, first_seen=lambda _: None) == ["v0.31.0", "v0.24.0"]

    def test_young_and_unknown_versions_leave_the_list(self) -> None:
        file = DownloadFile(Mode.SYNC, "", (block("*", Mode.ALLOW, min_age_s=60),))
        seen = {"v1.0.0": NOW - timedelta(minutes=5), "v1.1.0": NOW}
        listed = visible(compile_policy(file), MODULE, ["v1.0.0", "v1.1.0", "v1.2.0"], first_seen=seen.get, now=NOW)
        assert listed == ["v1.0.0"]

    def test_modes_other_than_deny_hide_nothing(self) -> None:
        file = DownloadFile(Mode.NONE, "", (block("*", Mode.REDIRECT),))
        assert visible(compile_policy(file), MODULE, ["v1.0.0"], first_seen=lambda _: None) == ["v1.0.0"]


ELEMENTS = st.sampled_from(["a.io", "b.io", "x", "y", "xy", "*", "x*", "*y", "?", "[xy]", "*.io", "[", ""])
PATTERNS = st.lists(ELEMENTS, min_size=1, max_size=4).map("/".join)
PATHS = st.lists(st.sampled_from(["a.io", "b.io", "x", "y", "xy"]), min_size=1, max_size=5).map("/".join)


@given(st.lists(PATTERNS, max_size=12), PATHS)
def test_the_index_finds_what_a_scan_of_all_blocks_finds(patterns: list[str], path: str) -> None:
    blocks = tuple(block(pattern, Mode.NONE, name=str(position)) for position, pattern in enumerate(patterns))
    policy = compile_policy(DownloadFile(Mode.SYNC, "", blocks))
    assert policy.covering(path) == tuple(found for found in blocks if found.pattern.matches(path))


def test_the_digest_names_the_exact_bytes() -> None:
    assert digest(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
