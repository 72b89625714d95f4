"""Writes download files: the same bytes for the same input. python-hcl2's own writer neither quotes nor escapes.

A file without our extensions loads in stock Athens. Whatever a value contains, it cannot leave its string: it is parsed
back as the same text, or refused.

Source: HCL native syntax (quoted templates), the operator's API reference section 4.6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from athens_policy import durations
from athens_policy.model import Block, DownloadFile, Mode
from athens_policy.sources import MergedPolicy

HEADER: Final = "# Rendered by athens-operator; edits are undone, change the policies instead."
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SPECIAL: Final = re.compile(r'["\\]|[\x00-\x1f\x7f-\x9f\u2028\u2029]|[$%](?=\{)')
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def render(merged: MergedPolicy) -> str:
    """The download file of a proxy, each block under a comment that names its rule and tier."""
    parts = [
        f"{HEADER}\n{_comment(f'default: {merged.default_source}')}{_defaults(merged.mode, merged.download_url)}",
        *(_comment(sourced.label) + _block(sourced.block) for sourced in merged.blocks),
    ]
    return "\n".join(parts)


def render_file(file: DownloadFile) -> str:
    """The download file without any comment; `parse` reads the same file back."""
    return "\n".join([_defaults(file.mode, file.download_url), *map(_block, file.blocks)])


def quoted(text: str) -> str:
    """The text as an HCL string that holds exactly this text."""
    return f'"{_SPECIAL.sub(_escaped, text)}"'


def _defaults(mode: Mode, download_url: str) -> str:
    """The two attributes that Athens insists on."""
    return f"mode = {quoted(mode)}\ndownloadURL = {quoted(download_url)}\n"


def _block(block: Block) -> str:
    lines = "".join(f"  {key} = {value}\n" for key, value in _attributes(block))
    return f"download {quoted(block.pattern.text)} {{\n{lines}}}\n"


def _attributes(block: Block) -> Iterator[tuple[str, str]]:
    yield "mode", quoted(block.mode)
    if block.download_url:
        yield "downloadURL", quoted(block.download_url)
    if block.versions is not None:
        yield "versions", quoted(block.versions.text)
    if block.min_age_s is not None:
        yield "minAge", quoted(durations.text_of(block.min_age_s))
    if block.upstream:
        yield "upstream", quoted(block.upstream)
    yield from ((key, "true") for key, is_set in (("exact", block.exact), ("audit", block.audit)) if is_set)
    if block.name:
        yield "name", quoted(block.name)
    if block.reason:
        yield "reason", quoted(block.reason)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character in "$%":
        return character * 2  # "$${" stands for a literal "${"
    return _ESCAPES.get(character) or f"\\u{ord(character):04x}"


def _comment(text: str) -> str:
    """A comment of exactly one line, whatever the text."""
    return f"# {_UNPRINTABLE.sub('?', text)}\n"
