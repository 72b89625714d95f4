"""The first look at a download file: refuses, cheaply and with exact positions, what the HCL parser must not see.

python-hcl2 takes seconds for newlines by the hundred thousand, recurses over nested values, reports an open string at
the end of the file, and accepts expressions as text. A download file needs none of it: outside strings and comments it
holds nothing but names, `=`, braces and plain literals.
"""

from __future__ import annotations

import re
from typing import Final

from athens_policy.errors import PolicySyntaxError
from athens_policy.model import MAX_BLOCKS, MAX_BYTES

MAX_LINES: Final = 50_000
MAX_ATTRIBUTES: Final = 16  # twice what a block can have, so that a misspelt name is still reported as one
SUPPORTED: Final = 'write attributes like mode = "sync" and blocks like download "example.com/*" { … }'
_TOKEN: Final = re.compile(
    r"""
      (?P<comment>\#[^\n]*|//[^\n]*|/\*(?s:.*?)\*/)
    | (?P<string>"(?:[^"\\\n]|\\[^\n])*")
    | (?P<open_comment>/\*)
    | (?P<open_string>")
    | (?P<heredoc><<)
    | (?P<opening>\{)
    | (?P<closing>\})
    | (?P<equals>=)
    | (?P<foreign>[^ \t\r\nA-Za-z0-9_-])
    """,
    re.VERBOSE,
)
_TEMPLATE: Final = re.compile(r"[$%]\{")
_UNWANTED: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|[\ud800-\udfff]")
_REFUSED: Final = {
    "open_comment": "the comment is never closed; write */ at its end",
    "open_string": 'the string is not closed on its line; write " at its end, and \\n for a line break in it',
    "heredoc": 'a heredoc is not supported, its text would end in a line break; write a quoted string "…"',
}


def checked(text: str) -> str:
    """The text, fit for the HCL parser: every `/* … */` is blanks, every character keeps its offset.

    Go's HCL allows such a comment between any two words and python-hcl2 only between lines; as in Go, the line breaks
    inside it end nothing.

    Raises:
        PolicySyntaxError: it is too large, has too many blocks, or has something that no download file has.
    """
    _check_size(text)
    _check_characters(text)
    _Scan(text).run()
    return _TOKEN.sub(_without_comment, text)


def refusal(text: str, offset: int, message: str) -> PolicySyntaxError:
    """The error for a place in the text, given as an offset in characters."""
    return PolicySyntaxError(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset), message)


def _check_size(text: str) -> None:
    size_bytes = len(text.encode("utf-8", "replace"))
    if size_bytes > MAX_BYTES:
        raise PolicySyntaxError(1, 1, f"the file has {size_bytes} bytes; at most {MAX_BYTES} are allowed")
    if text.count("\n") > MAX_LINES:
        raise PolicySyntaxError(MAX_LINES + 1, 1, f"the file has more than {MAX_LINES} lines; remove empty ones")


def _check_characters(text: str) -> None:
    if text.startswith("\ufeff"):
        raise PolicySyntaxError(1, 1, "the file begins with a byte order mark; save it as UTF-8 without one")
    unwanted = _UNWANTED.search(text)
    if unwanted:
        code = f"U+{ord(unwanted[0]):04X}"
        raise refusal(text, unwanted.start(), f"the file has the character {code}; remove it, or write it as an escape")


def _without_comment(token: re.Match[str]) -> str:
    return " " * len(token[0]) if token[0].startswith("/*") else token[0]


class _Scan:
    """What stands outside strings and comments, checked word by word."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._open_at: int | None = None
        self._blocks = 0
        self._attributes = 0

    def run(self) -> None:
        for token in _TOKEN.finditer(self._text):
            self._see(token)
        if self._open_at is not None:
            raise self._refusal(self._open_at, "the block that begins here is never closed; write '}' at its end")

    def _see(self, token: re.Match[str]) -> None:
        match token.lastgroup:
            case "comment":
                pass
            case "string":
                self._string(token)
            case "equals":
                self._attribute(token.start())
            case "opening":
                self._opening(token.start())
            case "closing":
                self._closing(token.start())
            case refused:
                message = _REFUSED.get(refused or "") or f"unexpected {token[0]!r}; {SUPPORTED}"
                raise self._refusal(token.start(), message)

    def _string(self, token: re.Match[str]) -> None:
        template = _TEMPLATE.search(token[0])
        if template:
            message = f"{template[0]} begins a template, and templates are not evaluated; write the text itself"
            raise self._refusal(token.start() + template.start(), message)

    def _attribute(self, offset: int) -> None:
        self._attributes += 1
        if self._attributes > MAX_ATTRIBUTES:
            raise self._refusal(offset, f"more than {MAX_ATTRIBUTES} attributes in one place; begin a block")

    def _opening(self, offset: int) -> None:
        if self._open_at is not None:
            raise self._refusal(offset, "a block cannot hold another block or a map; close the outer one first")
        self._open_at, self._attributes = offset, 0
        self._blocks += 1
        if self._blocks > MAX_BLOCKS:
            raise self._refusal(offset, f"the file has more than {MAX_BLOCKS} blocks; merge patterns")

    def _closing(self, offset: int) -> None:
        if self._open_at is None:
            raise self._refusal(offset, "there is no block to close here; remove '}'")
        self._open_at, self._attributes = None, 0

    def _refusal(self, offset: int, message: str) -> PolicySyntaxError:
        return refusal(self._text, offset, message)
