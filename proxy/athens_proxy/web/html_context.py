"""Where in an HTML document a value is about to stand, and how it must be escaped there; pure.

The rules are those of Go's html/template for the places that a page like ours has: text, attributes, addresses in
attributes, and strings in scripts. Anywhere else a value becomes Go's harmless `ZgotmplZ`.

Source: https://pkg.go.dev/html/template#hdr-Contexts
"""

from __future__ import annotations

import json
import re
from enum import Enum, auto
from typing import Final
from urllib.parse import quote

REFUSED: Final = "ZgotmplZ"
_TAG_START: Final = re.compile(r"<!--|<(/?)([a-zA-Z][a-zA-Z0-9:-]*)")
_IN_TAG: Final = re.compile(r"(?P<end>>)|(?P<skip>[\s/]+)|(?P<name>[^\s/>=]+)(?P<equals>\s*=\s*)?|(?P<value>=\s*)")
_UNQUOTED_END: Final = re.compile(r"[\s>]")
_JS_TOKEN: Final = re.compile(r"\\.|[\"'`]", re.DOTALL)
_ADDRESSES: Final = frozenset({"href", "src", "action", "formaction", "cite", "poster", "data", "background", "srcset"})
_HTML: Final = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&#34;",
        "'": "&#39;",
        "+": "&#43;",
        "\0": "\N{REPLACEMENT CHARACTER}",
    }
)
_RAW_TEXT: Final = frozenset({"script", "style"})
_SAFE_SCHEME: Final = re.compile(r"(https?|mailto):|[^:]*([/?#]|$)", re.IGNORECASE)


class _State(Enum):
    TEXT = auto()
    COMMENT = auto()
    TAG = auto()
    VALUE = auto()  # after the equals sign of an attribute
    QUOTED = auto()
    UNQUOTED = auto()
    RAW = auto()  # inside script or style


class HtmlContext:
    """Reads a document from its start; `feed` moves on, `escaped` fits a value into the present place."""

    def __init__(self) -> None:
        self._state = _State.TEXT
        self._element = ""  # "" inside a closing tag
        self._attribute = ""
        self._quote = ""  # of the attribute, or of the string in the script
        self._before = ""  # what the attribute's value held so far

    def feed(self, text: str) -> None:
        """Go past a piece of the document that its author wrote."""
        at = 0
        while at < len(text):
            at = self._step(text, at)

    def escaped(self, value: str) -> str:
        """The value as it may stand here."""
        match self._state:
            case _State.TEXT:
                return _html(value)
            case _State.COMMENT:
                return ""
            case _State.QUOTED:
                return _html(self._attribute_value(value))
            case _State.RAW if self._element == "script":
                return _script_string(value) if self._quote else f'"{_script_string(value)}"'
            case _:
                return REFUSED

    def _attribute_value(self, value: str) -> str:
        name = self._attribute.rpartition(":")[2]
        if name.startswith("on") or name == "style":
            return REFUSED
        if name not in _ADDRESSES:
            return value
        if "?" in self._before or "#" in self._before:
            return _percent_encoded(value, "-._~")
        if not self._before.strip() and not _SAFE_SCHEME.match(value):
            return f"#{REFUSED}"
        return _percent_encoded(value, "!#$&*+,/:;=?@[]%-._~")

    def _step(self, text: str, at: int) -> int:
        match self._state:
            case _State.TEXT:
                return self._in_text(text, at)
            case _State.COMMENT:
                return self._until(text, at, "-->", _State.TEXT)
            case _State.TAG:
                return self._in_tag(text, at)
            case _State.VALUE:
                return self._at_value(text, at)
            case _State.QUOTED:
                end = self._until(text, at, self._quote, _State.TAG)
                self._before += text[at:end]
                return end
            case _State.UNQUOTED:
                found = _UNQUOTED_END.search(text, at)
                self._state = _State.TAG if found else _State.UNQUOTED
                return found.start() if found else len(text)
            case _State.RAW:
                return self._in_raw(text, at)

    def _until(self, text: str, at: int, end: str, state: _State) -> int:
        found = text.find(end, at)
        if found < 0:
            return len(text)
        self._state = state
        return found + len(end)

    def _in_text(self, text: str, at: int) -> int:
        found = _TAG_START.search(text, at)
        if found is None:
            return len(text)
        if found[2] is None:
            self._state = _State.COMMENT
        else:
            self._state, self._element = _State.TAG, "" if found[1] else found[2].lower()
        return found.end()

    def _in_tag(self, text: str, at: int) -> int:
        found = _IN_TAG.match(text, at)
        if found is None:
            return at + 1
        if found["end"]:
            self._state = _State.RAW if self._element in _RAW_TEXT else _State.TEXT
            self._quote = ""
        elif found["name"]:
            self._attribute = found["name"].lower()
        if found["equals"] or found["value"]:
            self._state = _State.VALUE
        return found.end()

    def _at_value(self, text: str, at: int) -> int:
        self._before = ""
        if text[at] in "\"'":
            self._state, self._quote = _State.QUOTED, text[at]
            return at + 1
        self._state = _State.TAG if text[at] == ">" else _State.UNQUOTED
        return at

    def _in_raw(self, text: str, at: int) -> int:
        end = text.lower().find(f"</{self._element}", at)
        for token in _JS_TOKEN.finditer(text, at, end if end >= 0 else len(text)):
            if token[0] == self._quote:
                self._quote = ""
            elif not self._quote and len(token[0]) == 1:
                self._quote = token[0]
        if end < 0:
            return len(text)
        self._state, self._element = _State.TAG, ""
        return end + len("</") + len("script" if text[end + 3 : end + 4].lower() == "c" else "style")


def _html(value: str) -> str:
    return value.translate(_HTML)


def _percent_encoded(value: str, safe: str) -> str:
    """As Go does it: with small letters in the escapes."""
    return re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), quote(value, safe=safe))


def _script_string(value: str) -> str:
    """The inside of a string in a script: nothing in it can end the string, the script or start a comment."""
    text = json.dumps(value)[1:-1].replace('\\"', "\\u0022")
    for sign in "<>&'`/+$":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
