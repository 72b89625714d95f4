"""Reads a rendered file back together with the comments that name each block's rule and tier. Pure.

Source: the operator's API reference, section 4.6; `render.py` writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from athens_policy.merge import BUILT_IN
from athens_policy.model import Block
from athens_policy.parse import parse
from athens_policy.sources import MergedPolicy, SourcedBlock, Tier

UNKNOWN: Final = "the file"
_COMMENT: Final = re.compile(r"# (?P<label>(?P<kind>\w+) (?P<place>[^ #]+)#(?P<rule>\S+) \((?P<tier>\w+)\))")
_DEFAULT: Final = re.compile(r"^# default: (?P<source>.+)$", re.MULTILINE)


def read_back(text: str) -> MergedPolicy:
    """The policy that a rendered file was made of: what decides, and whose rules they are.

    Conflicts and sources are not in a file, so those of the result are empty. A block without a comment is nobody's.

    Raises:
        PolicySyntaxError: this is no download file.
    """
    file = parse(text)
    comments = [*_comments(text)]
    known = comments if len(comments) == len(file.blocks) else [""] * len(file.blocks)
    default = _DEFAULT.search(text)
    return MergedPolicy(
        mode=file.mode,
        download_url=file.download_url,
        default_source=default["source"] if default else BUILT_IN,
        blocks=tuple(map(_sourced, file.blocks, known)),
        conflicts=(),
        sources=(),
    )


def _comments(text: str) -> Iterator[str]:
    """The line above each block; a text value cannot begin a line, since line ends are escaped in it."""
    above = ""
    for line in text.splitlines():
        if line.startswith("download "):
            yield above
        above = line if line.startswith("#") else ""


def _sourced(block: Block, comment: str) -> SourcedBlock:
    found = _COMMENT.fullmatch(comment)
    if found is None or found["tier"] not in set(Tier):
        return SourcedBlock(block, UNKNOWN, block.name or block.pattern.text, Tier.INLINE, 0)
    tier = Tier(found["tier"])
    place = "inline" if tier is Tier.INLINE else found["place"]
    return SourcedBlock(block, found["label"], f"{place}#{found['rule']}", tier, 0)
