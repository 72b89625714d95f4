"""Policies of the largest size: merge and render, decide, find conflicts. No server, no cluster, no network.

The file has 2,000 rules of twenty policies: modules by name, folders, families of names and hosts, every ninth with a
version range. The conflicts are looked for where they cost most: every rule begins with a wildcard.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from athens_policy.conflicts import without_losers
from athens_policy.decide import compile_policy, decide
from athens_policy.merge import MergedPolicy, PolicyRule, PolicySource, Tier, merge
from athens_policy.model import Mode
from athens_policy.render import render
from benchmarks.report import Measured, Result, Sense
from demonstration.console import Say

NAME: Final = "policy"
RULES: Final = 2_000
POLICIES: Final = 20
ROUNDS: Final = 5
QUESTIONS: Final = 4_000
TYPICAL: Final = (
    "github.com/org{0}/repo",
    "github.com/org{0}/*",
    "git{0}.example.com/team/*",
    "github.com/org/tool{0}-*",
    "*.h{0}.example.net",
)
WILD: Final = ("*{0}x.example.com", "*a{0}*", "g?{0}*.example.com/[a-c]*", "*/team{0}/*", "?*{0}[0-9]*.example.net")


def measure(environ: Mapping[str, str], say: Say) -> list[Result]:
    """The median of some rounds; of single decisions, each about a path that was not asked about before."""
    del environ
    say.passing(f"{RULES} rules")
    sources, wild = _sources(TYPICAL), _sources(WILD)
    merged = merge(sources)
    blocks = merge(wild).blocks
    return [
        _bar("merge and render 2,000 rules", 1e3 * _median(lambda: render(merge(sources))), 100, "ms"),
        _bar("decide about one version", 1e6 * _decision_s(merged), 20, "µs"),
        _bar("find conflicts among 2,000 rules with wildcards", _median(lambda: without_losers(blocks)), 2, "s"),
    ]


def _sources(shapes: Sequence[str]) -> list[PolicySource]:
    rules = [
        PolicyRule(
            f"r{number}",
            (shapes[number % len(shapes)].format(number),),
            Mode.DENY if number % 2 else Mode.ALLOW,
            versions="" if number % 9 else "<v2.0.0",
        )
        for number in range(RULES)
    ]
    share = RULES // POLICIES
    return [
        PolicySource("DownloadPolicy", "t", f"p{index}", 1, Tier.SELECTED, 0, tuple(rules[start : start + share]))
        for index, start in enumerate(range(0, RULES, share))
    ]


def _decision_s(merged: MergedPolicy) -> float:
    compiled = compile_policy(merged.file)
    numbers = random.Random(1)
    took: list[float] = []
    for count in range(QUESTIONS):
        path = f"github.com/org{numbers.randrange(RULES)}/repo{count}"
        started = time.perf_counter()
        decide(compiled, path, "v1.3.0")
        took.append(time.perf_counter() - started)
    return statistics.median(took)


def _median(work: Callable[[], object]) -> float:
    took: list[float] = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return statistics.median(took)


def _bar(what: str, figure: float, bar: float, unit: str) -> Measured:
    return Measured(NAME, what, figure, Sense.AT_MOST, bar, unit)
