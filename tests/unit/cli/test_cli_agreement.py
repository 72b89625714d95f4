"""`explain`, the proxy and a reference that knows no index agree about random policies.

`POLICIES=10000 pytest --timeout 3600 tests/unit/cli/test_cli_agreement.py` asks about a million module versions.
"""

from __future__ import annotations

import fnmatch
import os
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime

from athens_cli.explain import Explainer, Question
from athens_policy.decide import digest, verdict_of
from athens_policy.merge import MergedPolicy, PolicyRule, PolicySource, Tier, merge
from athens_policy.model import ATHENS_MODES, Mode
from athens_policy.parse import parse
from athens_policy.render import render
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.policy.enforced import EnforcedPolicy, LoadedPolicy

POLICIES = int(os.environ.get("POLICIES", "40"))
MODULES = 100
URL = "https://goproxy.example.com"
NAMES = ("a", "b", "ab", "v2", "tool", "tool-x")
HOSTS = ("a.com", "b.com", "git.a.com")
PARTS = ("*", "a", "b", "a*", "*b", "tool*", "?", "[a-b]", "*o*", "v2", "[^a]*")
HOST_PARTS = ("*", "a.com", "*.com", "git.*", "?.com", "[ab].com")
RANGES = ("", "", "<v1.2.0", ">=v1.1.0 <v2.0.0", "=v1.0.0")
KINDS = {Tier.MANDATORY: "ClusterDownloadPolicy", Tier.DEFAULT: "ClusterDownloadPolicy", Tier.INLINE: "AthensProxy"}
ORDER = list(Tier)


def sources(numbers: random.Random) -> list[PolicySource]:
    found = []
    for tier in Tier:
        for name in numbers.sample("pqr", 1 if tier is Tier.INLINE else numbers.randrange(3)):
            kind = KINDS.get(tier, "DownloadPolicy")
            rules = tuple(rule(numbers, index) for index in range(numbers.randrange(4)))
            default = numbers.choice([None, None, *ATHENS_MODES])
            namespace = "" if kind == "ClusterDownloadPolicy" else "team-a"
            found.append(
                PolicySource(kind, namespace, name, 1, tier, numbers.randrange(-1, 2), rules, default, URL, audit=False)
            )
    return found


def rule(numbers: random.Random, index: int) -> PolicyRule:
    patterns = tuple(
        "/".join([numbers.choice(HOST_PARTS), *numbers.choices(PARTS, k=numbers.randrange(3))])
        for _ in range(numbers.randrange(1, 3))
    )
    mode = numbers.choice(list(Mode))
    return PolicyRule(f"r{index}", patterns, mode, versions=numbers.choice(RANGES), audit=numbers.random() < 0.2)


def modules(numbers: random.Random) -> Iterator[tuple[str, str]]:
    for _ in range(MODULES):
        path = "/".join([numbers.choice(HOSTS), *numbers.choices(NAMES, k=numbers.randrange(1, 4))])
        yield path, f"v{numbers.randrange(3)}.{numbers.randrange(3)}.0"


def reference(found: list[PolicySource], path: str, version: str) -> Mode:
    """First match over plain lists: no index, no merge, no rendering."""
    ordered = sorted(
        found,
        key=lambda source: (
            ORDER.index(source.tier),
            *((0, "") if source.tier is Tier.REFERENCED else (-source.priority, source.name)),
        ),
    )
    default = next((source.default_mode for source in ordered if source.default_mode), Mode.SYNC)
    for source in ordered:
        for each in source.rules:
            holds = all(compared(version, part) for part in each.versions.split())
            if holds and not each.audit and any(matches(pattern, path) for pattern in each.patterns):
                return default if each.mode is Mode.ALLOW else each.mode
    return default


def matches(pattern: str, path: str) -> bool:
    wanted, given = pattern.replace("[^", "[!").split("/"), path.split("/")
    return len(given) >= len(wanted) and all(map(fnmatch.fnmatchcase, given, wanted))


def compared(version: str, comparator: str) -> bool:
    match = re.fullmatch(r"([<>=]+)v(.*)", comparator)
    assert match
    have, bound = ([int(part) for part in text.split(".")] for text in (version[1:], match[2]))
    return {"<": have < bound, ">=": have >= bound, "=": have == bound}[match[1]]


def enforced(merged: MergedPolicy) -> EnforcedPolicy:
    """The proxy's own object, which has read the rendered bytes."""
    text = render(merged)
    return EnforcedPolicy(LoadedPolicy(parse(text), digest(text.encode()), "file", datetime.now(UTC)))


def test_explain_the_proxy_and_a_plain_list_agree_about_random_policies() -> None:
    for seed in range(POLICIES):
        numbers = random.Random(seed)
        found = sources(numbers)
        merged = merge(found)
        explainer, proxy = Explainer(merged), enforced(merged)
        assert explainer.digest == proxy.loaded.digest
        for path, version in modules(numbers):
            expected = reference(found, path, version)
            explained = verdict_of(explainer.decision(Question(path, version)).effect)
            wanted = ModuleVersion.parse(ModulePath.parse(path), version)
            assert (explained, verdict_of(proxy.decide(wanted).effect)) == (expected, expected), (seed, path, version)
