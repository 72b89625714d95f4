"""Reads download files: everything that Athens loads, and our own modes and attributes, strictly.

What differs from Athens on purpose: an unknown top-level mode is refused (Athens drops connections later), so is a
`downloadURL` that is no http(s) address, and templates, heredocs and calculated values are not evaluated. A malformed
pattern loads and matches nothing, as in Athens, unless the block uses one of our own words: a `deny` that can never
match would be a hole.

Source: Athens pkg/download/mode/mode.go; decision 0004 in docs/decisions.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

from athens_policy import durations, go_base64, hcl, scan
from athens_policy.addresses import chain_problem, url_problem
from athens_policy.errors import InvalidSetting, PolicySyntaxError
from athens_policy.hcl import Attribute, RawBlock
from athens_policy.model import ATHENS_MODES, Block, DownloadFile, Mode
from athens_policy.patterns import Pattern
from athens_policy.texts import name_problem, reason_problem
from athens_policy.versions import VersionRange

__all__ = ["InvalidSetting", "PolicySyntaxError", "parse", "parse_setting"]

_TOP_LEVEL: Final = ("mode", "downloadURL")
_IN_BLOCK: Final = ("mode", "downloadURL", "versions", "minAge", "upstream", "exact", "audit", "name", "reason")
_WITHOUT: Final[Mapping[str, tuple[Mode, ...]]] = {
    "minAge": (Mode.DENY, Mode.NONE),
    "upstream": (Mode.DENY, Mode.NONE, Mode.REDIRECT),
}

T = TypeVar("T")


def parse(text: str) -> DownloadFile:
    """The download file.

    Raises:
        PolicySyntaxError: the first thing in the text that keeps it from being used.
    """
    raw = hcl.read(text)
    top = _Section(text, raw.attributes, _TOP_LEVEL)
    for name in _TOP_LEVEL:
        if name not in top:
            example = 'mode = "sync"' if name == "mode" else 'downloadURL = ""'
            raise PolicySyntaxError(1, 1, f"{name} is missing; write {example} outside the blocks, both are required")
    return DownloadFile(
        mode=top.mode(ATHENS_MODES),
        download_url=top.download_url(),
        blocks=tuple(_block(text, block) for block in raw.blocks),
    )


def parse_setting(value: str, read_file: Callable[[str], str], download_url: str) -> DownloadFile:
    """The download file that a `DownloadMode` setting means.

    Args:
        value: a mode word, `file:<path>`, or `custom:<base64>`; neither trimmed nor lower-cased.
        read_file: the text of the file at a path; an OSError or UnicodeDecodeError is reported for it.
        download_url: the `DownloadURL` setting, which goes with a mode word only.

    Raises:
        InvalidSetting: the value or the file behind it cannot be read.
        PolicySyntaxError: the download file cannot be used.
    """
    if not value:
        raise InvalidSetting("download mode is not set")
    if value.startswith("file:"):
        return parse(_content(value.removeprefix("file:"), read_file))
    if value.startswith("custom:"):
        return parse(_decoded(value.removeprefix("custom:")))
    if value not in ATHENS_MODES:
        raise InvalidSetting(f"unrecognized download mode: {value}")
    return DownloadFile(Mode(value), download_url)


def _content(path: str, read_file: Callable[[str], str]) -> str:
    try:
        return read_file(path)
    except OSError as error:
        raise InvalidSetting(f"open {path}: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise InvalidSetting(f"open {path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error


def _decoded(text: str) -> str:
    try:
        return go_base64.decoded(text).decode()
    except UnicodeDecodeError as error:
        raise InvalidSetting(f"custom download mode: byte {error.start} is not UTF-8; encode a UTF-8 file") from error
    except go_base64.CorruptInput as error:
        raise InvalidSetting(str(error)) from error


class _Section:
    """The attributes of one place in the file: known names only, none of them twice."""

    def __init__(self, text: str, attributes: Iterable[Attribute], allowed: tuple[str, ...]) -> None:
        self._text = text
        self._known: dict[str, Attribute] = {}
        for attribute in attributes:
            if attribute.name not in allowed:
                raise scan.refusal(text, attribute.offset, _unknown(attribute.name, allowed))
            if attribute.name in self._known:
                raise scan.refusal(text, attribute.offset, f"{attribute.name} is set twice here; keep one of them")
            self._known[attribute.name] = attribute

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def string(self, name: str) -> str:
        """The attribute's text; "" if it is not set."""
        value = self._known[name].value if name in self._known else ""
        if isinstance(value, bool):
            raise self.error(name, 'must be a quoted string "…"')
        return value

    def boolean(self, name: str) -> bool:
        """The attribute's literal; False if it is not set."""
        value = self._known[name].value if name in self._known else False
        if isinstance(value, str):
            raise self.error(name, "must be true or false, without quotes")
        return value

    def mode(self, allowed: tuple[Mode, ...]) -> Mode:
        text = self.string("mode")
        if text not in allowed:
            raise self.error("mode", f"{text[:64]!r} is unknown here; write one of {', '.join(allowed)}")
        return Mode(text)

    def download_url(self) -> str:
        return self.checked("downloadURL", lambda text: url_problem(text, with_user_info=True))

    def checked(self, name: str, problem_of: Callable[[str], str]) -> str:
        """The attribute's text if there is no problem with it, or if it is empty."""
        text = self.string(name)
        problem = problem_of(text) if text else ""
        if problem:
            raise self.error(name, problem)
        return text

    def parsed(self, name: str, parse_text: Callable[[str], T]) -> T | None:
        """What `parse_text` makes of the attribute's text; None if it is not set."""
        if name not in self._known:
            return None
        try:
            return parse_text(self.string(name))
        except PolicySyntaxError:
            raise
        except ValueError as error:
            raise self.error(name, str(error), colon=True) from error

    def error(self, name: str, problem: str, *, colon: bool = False) -> PolicySyntaxError:
        return scan.refusal(self._text, self._known[name].value_offset, f"{name}{':' if colon else ''} {problem}")


def _block(text: str, raw: RawBlock) -> Block:
    if raw.kind != "download":
        message = f'block {raw.kind[:64]!r} is unknown; the only kind is download "example.com/*" {{ … }}'
        raise scan.refusal(text, raw.offset, message)
    if len(raw.labels) != 1:
        message = f"download has {len(raw.labels)} patterns; write exactly one, and a block of its own for each other"
        raise scan.refusal(text, raw.offset, message)
    section = _Section(text, raw.attributes, _IN_BLOCK)
    if "mode" not in section:
        raise scan.refusal(text, raw.offset, f"mode is missing in this block; write one of {', '.join(Mode)}")
    mode = section.mode(tuple(Mode))
    for name, modes in _WITHOUT.items():
        if name in section and mode in modes:
            raise section.error(name, f"has no meaning with mode {mode}; remove one of them")
    block = Block(
        pattern=Pattern.of_file(raw.labels[0]),
        mode=mode,
        download_url=section.download_url(),
        versions=section.parsed("versions", VersionRange.parse),
        min_age_s=section.parsed("minAge", durations.parse_seconds),
        upstream=section.checked("upstream", lambda chain: chain_problem(chain, with_user_info=True)),
        exact=section.boolean("exact"),
        audit=section.boolean("audit"),
        name=section.checked("name", name_problem),
        reason=section.checked("reason", reason_problem),
    )
    _check_pattern(text, raw, block)
    return block


def _check_pattern(text: str, raw: RawBlock, block: Block) -> None:
    if block.is_extended and (block.pattern.malformed or not block.pattern.text):
        message = f"pattern {block.pattern.text[:64]!r} can match nothing; close its '[' with ']' and fill its classes"
        raise scan.refusal(text, raw.offset, message)


def _unknown(name: str, allowed: tuple[str, ...]) -> str:
    close = "downloadURL" if name.lower() == "url" else next(iter(difflib.get_close_matches(name, allowed, n=1)), "")
    hint = f"did you mean {close}?" if close else f"allowed are {', '.join(allowed)}"
    return f"attribute {name[:64]!r} is unknown here; {hint}"
