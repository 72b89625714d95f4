"""A rendered file read back is the policy that it was rendered from, with every rule's origin."""

from __future__ import annotations

from pathlib import Path

import pytest

from athens_policy.merge import PolicyRule, PolicySource, Tier, merge
from athens_policy.model import Mode
from athens_policy.provenance import UNKNOWN, read_back
from athens_policy.render import render

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.hcl"))


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_every_golden_file_comes_back_byte_for_byte(file: Path) -> None:
    assert render(read_back(file.read_text())) == file.read_text()


def test_rules_tiers_and_the_source_of_the_default_are_known_again() -> None:
    rules = (
        PolicyRule("a", ("example.com/a",), Mode.DENY, reason="# not a comment"),
        PolicyRule("b", ("*",), Mode.SYNC),
    )
    merged = merge(
        [
            PolicySource("ClusterDownloadPolicy", "", "guard", 1, Tier.MANDATORY, 0, rules[:1]),
            PolicySource(
                "AthensProxy", "team-a", "go", 1, Tier.INLINE, 0, (PolicyRule("c", ("x.example",), Mode.NONE),)
            ),
            PolicySource("DownloadPolicy", "team-a", "base", 1, Tier.SELECTED, 0, rules[1:], default_mode=Mode.ASYNC),
        ]
    )

    back = read_back(render(merged))

    assert [(each.rule, each.label, each.tier) for each in back.blocks] == [
        (each.rule, each.label, each.tier) for each in merged.blocks
    ]
    assert (back.mode, back.default_source) == (merged.mode, merged.default_source)
    assert back.file == merged.file


def test_blocks_without_comments_are_nobodys() -> None:
    text = 'mode = "sync"\ndownloadURL = ""\n\ndownload "example.com/a" {\n  mode = "deny"\n  name = "x#a"\n}\n'

    [block] = read_back(text).blocks

    assert (block.label, block.rule) == (UNKNOWN, "x#a")
