"""The one place that knows python-hcl2: from text to attributes and blocks with positions, as strictly as Go's HCL.

python-hcl2 is laxer than Go's parser (two attributes on a line, one-line blocks with several, unknown escapes, any
number of labels), and its error messages list grammar terminals; both end here. Which names are allowed and what they
mean is for `parse`.

Source: https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from athens_policy import scan
from athens_policy.errors import PolicySyntaxError

if TYPE_CHECKING:
    from lark import Token

Node: TypeAlias = Any  # lark's trees are generic over what their leaves are
_WORD: Final = re.compile(r"[A-Za-z0-9_-]+|\S")
_ESCAPE: Final = re.compile(r"\\(?:(?P<plain>[nrt\"\\])|u(?P<short>[0-9A-Fa-f]{4})|U(?P<long>[0-9A-Fa-f]{8})|(?s:.)?)")
_SHOWN: Final = 40
_PLAIN: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


@dataclass(frozen=True)
class Attribute:
    """`name = value`.

    Args:
        value: a string, or a bool literal.
        value_offset: where the value begins, in characters from the start of the text.
    """

    name: str
    value: str | bool
    offset: int
    value_offset: int


@dataclass(frozen=True)
class RawBlock:
    """`kind "label" … { … }`."""

    kind: str
    labels: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    offset: int


@dataclass(frozen=True)
class RawFile:
    """All there is at the top level, in the order of the text."""

    attributes: tuple[Attribute, ...]
    blocks: tuple[RawBlock, ...]


def read(text: str) -> RawFile:
    """The file's structure.

    Raises:
        PolicySyntaxError: the text is no HCL, or has something that no download file has.
    """
    items = [_item(text, node) for node in _items(text, _tree(text).children[0])]
    return RawFile(
        tuple(item for item in items if isinstance(item, Attribute)),
        tuple(item for item in items if isinstance(item, RawBlock)),
    )


def _tree(text: str) -> Node:
    import hcl2  # takes a while, and a policy of one word needs no parser
    from lark.exceptions import LarkError, UnexpectedInput

    cleared = scan.checked(text)
    try:
        return hcl2.parses_to_tree(cleared)
    except UnexpectedInput as error:
        lines = cleared.split("\n")[: error.line - 1]
        raise _unexpected(text, cleared, sum(len(line) + 1 for line in lines) + error.column - 1) from error
    except (LarkError, RecursionError) as error:
        raise PolicySyntaxError(1, 1, f"the file cannot be read; {scan.SUPPORTED}") from error


def _unexpected(text: str, cleared: str, offset: int) -> PolicySyntaxError:
    if cleared.startswith("\n", offset):
        return scan.refusal(text, offset, f"unexpected end of the line; {scan.SUPPORTED}")
    found = _WORD.search(cleared, offset)
    if found is None:
        return scan.refusal(text, len(cleared.rstrip()), f"unexpected end of the file; {scan.SUPPORTED}")
    return scan.refusal(text, found.start(), f"unexpected {found[0][:_SHOWN]!r}; {scan.SUPPORTED}")


def _items(text: str, body: Node) -> Iterator[Node]:
    """The attributes and blocks of a body, each of them on lines of its own."""
    end_line = 0
    for node in body.children:
        if node.data == "new_line_or_comment":
            continue
        if node.meta.line <= end_line:
            raise scan.refusal(text, node.meta.start_pos, "begin a new line here; a line holds one attribute or block")
        end_line = node.meta.end_line
        yield node


def _item(text: str, node: Node) -> Attribute | RawBlock:
    return _attribute(text, node) if node.data == "attribute" else _block(text, node)


def _attribute(text: str, node: Node) -> Attribute:
    name, _, value = node.children
    return Attribute(_name(name), _value(text, value), node.meta.start_pos, value.meta.start_pos)


def _name(node: Node) -> str:
    return str(node.children[0])


def _value(text: str, node: Node) -> str | bool:
    """A string or a bool; `node` is any expression."""
    literal = node.children[0] if node.data == "expr_term" and len(node.children) == 1 else node
    if hasattr(literal, "data"):  # a tree; a token has none
        if literal.data == "string":
            return _string(text, literal)
        if literal.data == "literal_value" and literal.children[0] in ("true", "false"):
            return bool(literal.children[0] == "true")
    raise scan.refusal(text, node.meta.start_pos, 'the value must be a quoted string "…"')


def _string(text: str, node: Node) -> str:
    """What the quoted string means; taken from the text itself, since the lexer may drop leading blanks."""
    begin = node.meta.start_pos + 1

    def meaning(match: re.Match[str]) -> str:
        code = match["short"] or match["long"]
        if match["plain"]:
            return _PLAIN[match["plain"]]
        if code and (int(code, 16) < 0xD800 or 0xDFFF < int(code, 16) <= 0x10FFFF):
            return chr(int(code, 16))
        allowed = 'allowed are \\n \\r \\t \\" \\\\ \\uXXXX \\UXXXXXXXX'
        shown = match[0] if match[0].isprintable() else repr(match[0])
        raise scan.refusal(text, begin + match.start(), f"the escape {shown} is unknown; {allowed}")

    return _ESCAPE.sub(meaning, text[begin : node.meta.end_pos - 1])


def _block(text: str, node: Node) -> RawBlock:
    kind, *labels, opening, body, closing = node.children
    for label in labels:
        if label.data == "new_line_or_comment":
            raise scan.refusal(text, node.meta.start_pos, "write '{' on the same line as the block's name and pattern")
    members = list(_items(text, body))
    _check_braces(text, opening, members, closing)
    return RawBlock(
        kind=_name(kind),
        labels=tuple(_string(text, label) if label.data == "string" else _name(label) for label in labels),
        attributes=tuple(_attribute(text, member) for member in members),
        offset=node.meta.start_pos,
    )


def _check_braces(text: str, opening: Token, members: list[Node], closing: Token) -> None:
    """Go's rule: one attribute on the line of both braces, or every attribute on lines between them."""
    if not members:
        return
    if members[0].meta.line == opening.line:
        if closing.line != opening.line:
            message = "begin a new line behind '{', or write the whole block with one attribute on one line"
            raise scan.refusal(text, members[0].meta.start_pos, message)
    elif closing.line == members[-1].meta.end_line:
        raise scan.refusal(text, closing.start_pos or 0, "begin a new line here; '}' follows the last attribute's line")
