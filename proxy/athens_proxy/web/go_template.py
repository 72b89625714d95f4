"""The part of Go's html/template that pages of Athens use: fields, texts, if, else if, else, end, comments, trims.

Source: https://pkg.go.dev/text/template
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from athens_proxy.web.html_context import HtmlContext

MAX_DEPTH: Final = 100
_ACTION: Final = re.compile(
    r"\{\{(?P<left>-(?=\s))?\s*(?P<body>/\*.*?\*/|(?:\"(?:[^\"\\\n]|\\.)*\"|`[^`]*`|[^\"`])*?)(?P<right>\s-)?\s*\}\}",
    re.DOTALL,
)
_OPERAND: Final = r'\.[A-Za-z_]\w*|"(?:[^"\\\n]|\\.)*"|`[^`]*`'
_CONDITION: Final = re.compile(rf"(?:(not|eq|ne)\s+)?({_OPERAND})(?:\s+({_OPERAND}))?")


class TemplateError(ValueError):
    """The text is no template that is understood here; the message has the line and the action."""


@dataclass(frozen=True, slots=True)
class _Operand:
    """A field of the data, or a text of the template."""

    field: str
    text: str = ""

    def value(self, data: Mapping[str, str]) -> str:
        return data.get(self.field, "") if self.field else self.text


@dataclass(frozen=True, slots=True)
class _If:
    comparison: str  # "", "not", "eq" or "ne"
    first: _Operand
    second: _Operand | None
    then: list[_Node]
    otherwise: list[_Node]

    def branch(self, data: Mapping[str, str]) -> list[_Node]:
        value = self.first.value(data)
        if self.second is None:
            holds = bool(value) is not (self.comparison == "not")
        else:
            holds = (value == self.second.value(data)) is (self.comparison == "eq")
        return self.then if holds else self.otherwise


_Node = str | _Operand | _If


class Template:
    """A parsed template."""

    def __init__(self, nodes: list[_Node]) -> None:
        self._nodes = nodes

    @classmethod
    def parse(cls, text: str) -> Template:
        """The template of a text.

        Raises:
            TemplateError: an action is not understood, or `if` and `end` do not pair.
        """
        parser = _Parser(text)
        nodes, stop = parser.block(0)
        if stop is not None:
            raise parser.error(stop, "there is no if that it belongs to")
        return cls(nodes)

    def render(self, data: Mapping[str, str]) -> str:
        """The page; a field that the data lacks is empty, every value is escaped for the place where it stands."""
        return "".join(_rendered(self._nodes, data, HtmlContext()))


def _rendered(nodes: list[_Node], data: Mapping[str, str], context: HtmlContext) -> Iterator[str]:
    for node in nodes:
        match node:
            case str():
                context.feed(node)
                yield node
            case _Operand():
                yield context.escaped(node.value(data))
            case _If():
                yield from _rendered(node.branch(data), data, context)


class _Parser:
    """Recursive descent over texts and actions."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split()

    def block(self, depth: int) -> tuple[list[_Node], re.Match[str] | None]:
        """The nodes up to the `else` or `end` that stops them, and that action; None at the end of the text."""
        if depth > MAX_DEPTH:
            raise TemplateError(f"ifs are nested more than {MAX_DEPTH} deep")
        nodes: list[_Node] = []
        for token in self._tokens:
            if isinstance(token, str):
                nodes.append(token)
                continue
            word, rest = _words(token)
            if word in ("else", "end"):
                return nodes, token
            if word == "if":
                nodes.append(self._if(rest, token, depth))
            elif not token["body"].startswith("/*"):
                nodes.append(self._operand(token["body"].strip(), token))
        return nodes, None

    def error(self, action: re.Match[str], why: str) -> TemplateError:
        """What is wrong with an action, with its place."""
        line = self._text.count("\n", 0, action.start()) + 1
        return TemplateError(f"line {line}: {' '.join(action[0].split())[:80]}: {why}")

    def _if(self, condition: str, action: re.Match[str], depth: int) -> _If:
        found = _CONDITION.fullmatch(condition)
        if found is None or (found[1] in ("eq", "ne")) is not (found[3] is not None):
            raise self.error(action, "use a field, `not` and a field, or `eq` or `ne` and two values")
        then, stop = self.block(depth + 1)
        otherwise: list[_Node] = []
        if stop is not None and _words(stop)[0] == "else":
            rest = _words(stop)[1]
            word, _, chained = rest.partition(" ")
            if word == "if":
                otherwise, stop = [self._if(chained.strip(), stop, depth + 1)], None
            elif rest:
                raise self.error(stop, "use {{ else }} or {{ else if … }}")
            else:
                otherwise, stop = self.block(depth + 1)
            if stop is not None and _words(stop)[0] == "else":
                raise self.error(stop, "the if has an else already")
        elif stop is None:
            raise self.error(action, "it has no {{ end }}")
        second = self._operand(found[3], action) if found[3] else None
        return _If(found[1] or "", self._operand(found[2], action), second, then, otherwise)

    def _operand(self, text: str, action: re.Match[str]) -> _Operand:
        if not re.fullmatch(_OPERAND, text):
            raise self.error(action, "it is not understood")
        if text.startswith("."):
            return _Operand(text[1:])
        try:
            return _Operand("", text[1:-1] if text.startswith("`") else str(json.loads(text)))
        except ValueError:
            raise self.error(action, "the text has an escape that is not understood") from None

    def _split(self) -> Iterator[str | re.Match[str]]:
        """Texts and actions in turn, texts without the space that `{{-` and `-}}` cut off."""
        at, trim = 0, False
        for action in _ACTION.finditer(self._text):
            text = self._text[at : action.start()]
            text = text.lstrip() if trim else text
            yield self._closed(text.rstrip() if action["left"] else text)
            yield action
            at, trim = action.end(), bool(action["right"])
        rest = self._text[at:]
        yield self._closed(rest.lstrip() if trim else rest)

    def _closed(self, text: str) -> str:
        if "{{" in text:
            raise TemplateError(f"an action is not closed: {' '.join(text[text.index('{{') :].split())[:80]}")
        return text


def _words(action: re.Match[str]) -> tuple[str, str]:
    word, rest = [*action["body"].split(None, 1), "", ""][:2]
    return word, rest.strip()
