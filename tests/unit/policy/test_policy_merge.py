"""Policies merge into the same file in whatever order they arrive; what loses is named, what is bad blocks."""

import itertools
import random

import pytest

from athens_policy.merge import BUILT_IN, MergeError, PolicyRule, PolicySource, Tier, merge
from athens_policy.model import MAX_BLOCKS, MAX_BYTES, Mode
from athens_policy.render import render

URL = "https://goproxy.example.com"
KINDS = {Tier.MANDATORY: "ClusterDownloadPolicy", Tier.DEFAULT: "ClusterDownloadPolicy", Tier.INLINE: "AthensProxy"}


def rule(name: str, *patterns: str, mode: Mode = Mode.DENY, **fields: object) -> PolicyRule:
    return PolicyRule(name, patterns, mode, **fields)  # type: ignore[arg-type]


def source(tier: Tier, name: str, *rules: PolicyRule, priority: int = 0, **fields: object) -> PolicySource:
    kind = KINDS.get(tier, "DownloadPolicy")
    namespace = "" if kind == "ClusterDownloadPolicy" else "team-a"
    return PolicySource(kind, namespace, name, 1, tier, priority, rules, **fields)  # type: ignore[arg-type]


def patterns_of(*sources: PolicySource) -> list[str]:
    return [sourced.block.pattern.text for sourced in merge(sources).blocks]


def refused(*sources: PolicySource) -> MergeError:
    with pytest.raises(MergeError) as error:
        merge(sources)
    assert error.value.message.isprintable()
    return error.value


class TestOrder:
    def test_tiers_are_asked_from_mandatory_to_default(self) -> None:
        sources = [source(tier, f"p{index}", rule("r", f"t{index}.example")) for index, tier in enumerate(Tier)]
        for shuffled in itertools.permutations(sources):
            assert patterns_of(*shuffled) == [f"t{index}.example" for index in range(5)]

    @pytest.mark.parametrize("tier", [Tier.MANDATORY, Tier.SELECTED, Tier.DEFAULT])
    def test_inside_a_tier_priority_counts_first_and_then_the_name(self, tier: Tier) -> None:
        sources = [
            source(tier, "b", rule("r", "b.example")),
            source(tier, "z", rule("r", "z.example"), priority=5),
            source(tier, "c", rule("r", "c.example"), priority=-1),
            source(tier, "a", rule("r", "a.example")),
        ]
        for shuffled in itertools.permutations(sources):
            assert patterns_of(*shuffled) == ["z.example", "a.example", "b.example", "c.example"]

    def test_referenced_policies_keep_the_proxys_order(self) -> None:
        z = source(Tier.REFERENCED, "z", rule("r", "z.example"), priority=-5)
        a = source(Tier.REFERENCED, "a", rule("r", "a.example"), priority=5)
        assert patterns_of(z, a) == ["z.example", "a.example"]
        assert patterns_of(a, z) == ["a.example", "z.example"]

    def test_rules_and_patterns_keep_their_order(self) -> None:
        policy = source(Tier.SELECTED, "p", rule("b", "b.example", "a.example"), rule("a", "c.example"))
        assert patterns_of(policy) == ["b.example", "a.example", "c.example"]

    def test_the_same_objects_give_the_same_bytes_in_any_order(self) -> None:
        sources = [
            source(tier, f"p{index}", rule(f"r{index}", f"x{index % 3}.example/*", "y.example"), priority=index % 2)
            for index in range(9)
            for tier in (Tier.MANDATORY, Tier.SELECTED, Tier.DEFAULT)
        ]
        expected = render(merge(sources))
        for seed in range(20):
            random.Random(seed).shuffle(sources)
            assert render(merge(sources)) == expected


class TestDefault:
    @pytest.mark.parametrize("setting", range(32))
    def test_the_first_tier_with_an_opinion_gives_mode_and_url(self, setting: int) -> None:
        having = [tier for index, tier in enumerate(Tier) if setting >> index & 1]
        sources = [
            source(
                tier,
                f"p-{tier.lower()}",
                default_mode=Mode.REDIRECT if tier in having else None,
                download_url=f"https://{tier.lower()}.example",
            )
            for tier in reversed(Tier)
        ]
        merged = merge(sources)
        if having:
            expected = (Mode.REDIRECT, f"https://{having[0].lower()}.example")
            assert (merged.mode, merged.download_url) == expected
            assert merged.default_source.endswith(f"p-{having[0].lower()} ({having[0]})")
        else:
            assert (merged.mode, merged.download_url, merged.default_source) == (Mode.SYNC, "", BUILT_IN)

    def test_an_audit_policy_never_gives_the_default(self) -> None:
        audit = source(Tier.MANDATORY, "a", default_mode=Mode.NONE, audit=True)
        assert merge([audit, source(Tier.SELECTED, "b", default_mode=Mode.ASYNC)]).mode is Mode.ASYNC

    def test_no_source_at_all_is_plain_sync(self) -> None:
        assert merge([]).file.mode is Mode.SYNC


class TestBlocks:
    def test_only_blocks_that_may_refuse_or_are_counted_carry_name_and_reason(self) -> None:
        policy = source(
            Tier.SELECTED,
            "base",
            rule("d", "a.example", reason="why"),
            rule("m", "b.example", mode=Mode.SYNC, min_age="72h", reason="why"),
            rule("u", "c.example", mode=Mode.SYNC, audit=True, reason="why"),
            rule("s", "d.example", mode=Mode.SYNC, reason="why"),
        )
        named = [(sourced.block.name, sourced.block.reason) for sourced in merge([policy]).blocks]
        assert named == [("team-a/base#d", "why"), ("team-a/base#m", "why"), ("team-a/base#u", "why"), ("", "")]

    def test_names_tell_cluster_inline_and_namespaced_rules_apart(self) -> None:
        sources = [source(tier, "p", rule("r", f"{tier.lower()}.example")) for tier in Tier]
        names = [sourced.block.name for sourced in merge(sources).blocks]
        assert names == ["p#r", "inline#r", "team-a/p#r", "team-a/p#r", "p#r"]

    def test_a_redirect_rule_takes_its_own_url_or_its_policys(self) -> None:
        policy = source(
            Tier.SELECTED,
            "base",
            rule("own", "a.example", mode=Mode.REDIRECT, download_url="https://own.example"),
            rule("inherited", "b.example", mode=Mode.ASYNC_REDIRECT),
            rule("none", "c.example", mode=Mode.SYNC, download_url="https://own.example"),
            download_url=URL,
        )
        urls = [sourced.block.download_url for sourced in merge([policy]).blocks]
        assert urls == ["https://own.example", URL, ""]

    def test_every_rule_of_an_audit_policy_is_an_audit_rule(self) -> None:
        merged = merge([source(Tier.SELECTED, "p", rule("r", "a.example"), audit=True)])
        assert merged.blocks[0].block.audit

    def test_sources_are_summed_up_in_their_order_with_the_rules_they_brought(self) -> None:
        selected = source(Tier.SELECTED, "s", rule("a", "x.example"), rule("b", "x.example"))
        summaries = merge([selected, source(Tier.INLINE, "go")]).sources
        assert [(found.kind, found.name, found.tier, found.rules) for found in summaries] == [
            ("AthensProxy", "go", Tier.INLINE, 0),
            ("DownloadPolicy", "s", Tier.SELECTED, 2),
        ]


def conflicts_of(*rules: PolicyRule) -> tuple[list[tuple[str, str, str]], list[str]]:
    """(class, loser, winner) and the rules that stay."""
    merged = merge([source(Tier.SELECTED, "p", *rules)])
    found = [
        (
            conflict.conflict_class.value,
            conflict.rule.removeprefix("team-a/p#"),
            conflict.by.removeprefix("team-a/p#"),
        )
        for conflict in merged.conflicts
    ]
    return found, [sourced.rule.removeprefix("team-a/p#") for sourced in merged.blocks]


class TestConflicts:
    def test_the_same_effect_again_is_a_duplicate_and_left_out(self) -> None:
        first, second = rule("a", "x.example", reason="one"), rule("b", "x.example", reason="two")
        assert conflicts_of(first, second) == ([("Duplicate", "b", "a")], ["a"])

    @pytest.mark.parametrize(
        "other",
        [
            rule("b", "x.example", mode=Mode.SYNC),
            rule("b", "x.example", mode=Mode.ALLOW, min_age="1h"),
            rule("b", "x.example", audit=True),
        ],
    )
    def test_another_effect_for_the_same_is_a_conflict_and_left_out(self, other: PolicyRule) -> None:
        assert conflicts_of(rule("a", "x.example"), other) == ([("Conflict", "b", "a")], ["a"])

    def test_other_versions_are_no_conflict(self) -> None:
        first, second = rule("a", "x.example", versions="<v1.0.0"), rule("b", "x.example", versions=">=v1.0.0")
        assert conflicts_of(first, second) == ([], ["a", "b"])

    def test_a_rule_behind_a_broader_one_is_shadowed_and_stays(self) -> None:
        first, second = rule("a", "x.example/*"), rule("b", "x.example/y", mode=Mode.SYNC)
        assert conflicts_of(first, second) == ([("Shadowed", "b", "a")], ["a", "b"])
        assert conflicts_of(second, first) == ([], ["b", "a"])

    def test_a_broader_rule_with_versions_shadows_nothing(self) -> None:
        first, second = rule("a", "*", versions="<v1.0.0"), rule("b", "x.example/y", mode=Mode.SYNC)
        assert conflicts_of(first, second) == ([], ["a", "b"])

    def test_the_first_of_several_covering_rules_is_named(self) -> None:
        rules = (rule("a", "*/y"), rule("b", "x.example"), rule("c", "x.example/y"))
        assert conflicts_of(*rules)[0] == [("Shadowed", "c", "a")]

    def test_a_rule_that_no_module_can_meet_is_unreachable_and_stays(self) -> None:
        assert conflicts_of(rule("a", "Example.com/x")) == ([("Unreachable", "a", "")], ["a"])

    def test_an_audit_rule_makes_nothing_lose(self) -> None:
        rules = (rule("a", "*", audit=True), rule("b", "*", audit=True), rule("c", "*"), rule("d", "x.example"))
        assert conflicts_of(*rules) == ([("Shadowed", "d", "c")], ["a", "b", "c", "d"])

    def test_a_mandatory_rule_beats_the_teams_and_both_are_named(self) -> None:
        mandatory = source(Tier.MANDATORY, "guard", rule("evil", "x.example"))
        team = source(Tier.SELECTED, "base", rule("ok", "x.example", mode=Mode.SYNC))
        merged = merge([team, mandatory])
        conflict = merged.conflicts[0]
        assert (conflict.rule, conflict.by, conflict.pattern) == ("team-a/base#ok", "guard#evil", "x.example")
        assert (merged.sources[conflict.source].name, conflict.by_source) == ("base", 0)


BAD_RULES = [
    (rule("r", "a.example", mode=Mode.REDIRECT), "downloadURL is missing"),
    (rule("r", "a.example", mode=Mode.REDIRECT, download_url="goproxy"), "downloadURL is not an absolute http"),
    (rule("r", "a.example", mode=Mode.REDIRECT, download_url="https://me:pw@a.example"), "downloadURL has a user name"),
    (rule("r", "a.example", mode=Mode.REDIRECT, download_url="file:///x"), "downloadURL is not an absolute http"),
    (rule("r", "a.example", versions=">=v2.0.0 <v1.0.0"), "versions: no version can satisfy"),
    (rule("r", "a.example", versions="1.0"), "versions: '1.0' is not a version range"),
    (rule("r", "a.example", mode=Mode.SYNC, min_age="3d"), "minAge: '3d' is not a duration"),
    (rule("r", "a.example", min_age="3h"), "minAge has no meaning with mode deny"),
    (rule("r", "a.example", mode=Mode.NONE, upstream="direct"), "upstream has no meaning with mode none"),
    (rule("r", "a.example", mode=Mode.SYNC, upstream="goproxy"), "upstream is not a chain"),
    (rule("r", "a.example", mode=Mode.SYNC, upstream="https://me:pw@a.example"), "upstream has a user name"),
    (rule("r", "a.example", mode=Mode.SYNC, upstream="direct,,off"), "upstream is not a chain"),
    (rule("r", "a.example", reason="x" * 257), "reason has 257 characters"),
    (rule("r", "a.example/[b"), "patterns: pattern 'a.example/[b' has an unbalanced"),
    (rule("r", "a.example//b"), "patterns: pattern 'a.example//b' has an empty element"),
    (rule("r"), "patterns is empty"),
    (rule("R_1", "a.example"), "not a DNS label"),
]


@pytest.mark.parametrize(("bad", "says"), BAD_RULES)
def test_a_rule_that_cannot_be_rendered_blocks_and_is_named(bad: PolicyRule, says: str) -> None:
    error = refused(source(Tier.SELECTED, "base", rule("good", "b.example"), bad))
    assert error.reason == "InvalidRule"
    assert error.message.startswith("DownloadPolicy team-a/base")
    assert says in error.message


def test_every_bad_rule_is_reported_and_the_message_stays_short() -> None:
    policy = source(Tier.SELECTED, "p", *(rule(f"r{index}", "[") for index in range(8)))
    error = refused(policy)
    assert len(error.problems) == 8
    assert error.message.endswith("; and 3 more")


@pytest.mark.parametrize("mode", [Mode.DENY, Mode.ALLOW])
def test_a_default_mode_that_is_for_rules_only_blocks(mode: Mode) -> None:
    assert "is for rules only" in refused(source(Tier.SELECTED, "p", default_mode=mode)).message


def test_a_default_redirect_without_a_url_blocks() -> None:
    assert "downloadURL is missing" in refused(source(Tier.SELECTED, "p", default_mode=Mode.REDIRECT)).message


def test_one_block_more_than_a_file_may_have_blocks() -> None:
    policies = [
        source(Tier.SELECTED, f"p{index}", rule("r", *(f"x.example/{index}/{number}" for number in range(50))))
        for index in range(MAX_BLOCKS // 50)
    ]
    assert len(merge(policies).blocks) == MAX_BLOCKS
    error = refused(*policies, source(Tier.SELECTED, "last", rule("r", "y.example")))
    assert (error.reason, "2001 blocks" in error.message) == ("Oversize", True)


def test_one_byte_more_than_a_file_may_have_blocks() -> None:
    def policies(size_bytes: int) -> list[PolicySource]:
        reasons = ["y" * 256] * 683 + ["y" * (size_bytes // 2), "y" * (size_bytes - size_bytes // 2)]
        rules = (rule(f"r{index}", f"x.example/{index:03}", reason=reason) for index, reason in enumerate(reasons))
        return [source(Tier.SELECTED, "p", *rules)]

    missing = MAX_BYTES - len(render(merge(policies(2))).encode())
    assert 0 < missing < 500
    assert len(render(merge(policies(2 + missing))).encode()) == MAX_BYTES
    error = refused(*policies(2 + missing + 1))
    assert (error.reason, "262145 bytes" in error.message) == ("Oversize", True)


def test_what_lost_does_not_count_towards_the_limits() -> None:
    same = [f"x.example/{number}" for number in range(1500)]
    merged = merge([source(Tier.SELECTED, name, rule("r", *same)) for name in ("a", "b")])
    assert (len(merged.blocks), len(merged.conflicts)) == (1500, 1500)
