"""Turns Athens' download file, or its older filter file, into a DownloadPolicy. Pure.

What a policy cannot say is told as a note: a pattern that never matched, a version prefix that ended in a digit.

Source: Athens v0.18.0, pkg/download/mode/mode.go and pkg/module/filter.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from athens_cli.errors import InputError
from athens_policy import durations
from athens_policy.errors import PolicySyntaxError
from athens_policy.merge import MergeError, PolicyRule, PolicySource, Tier, merge
from athens_policy.model import Block, DownloadFile, Mode
from athens_policy.parse import parse
from athens_policy.patterns import InvalidPattern, Pattern

MAX_RULES: Final = 500
MAX_PATTERNS: Final = 32
_NOT_A_NAME: Final = re.compile(r"[^a-z0-9]+")
_SIGNS: Final = {"+": Mode.ALLOW, "-": Mode.DENY, "D": Mode.REDIRECT}
_QUALIFIER: Final = re.compile(r"(?P<sign>[~^<]?)v(?P<numbers>[0-9]+(?:\.[0-9]+){0,2})(?P<rest>.*)", re.ASCII)


@dataclass
class Imported:
    """A policy in the making.

    Args:
        rules: in the order in which they are asked.
        default_mode: for modules that no rule covers.
        download_url: goes with it.
        notes: what a person should look at.
    """

    rules: list[PolicyRule] = field(default_factory=list)
    default_mode: Mode = Mode.SYNC
    download_url: str = ""
    notes: list[str] = field(default_factory=list)

    def policy(self, name: str, namespace: str) -> dict[str, Any]:
        """The object.

        Raises:
            InputError: it would be too large, or a rule of it is not possible in an object.
        """
        if len(self.rules) > MAX_RULES:
            raise InputError(f"{len(self.rules)} rules; a DownloadPolicy has at most {MAX_RULES}: divide the file")
        source = PolicySource(
            "DownloadPolicy",
            namespace,
            name,
            1,
            Tier.SELECTED,
            0,
            tuple(self.rules),
            self.default_mode,
            self.download_url,
        )
        try:
            merge([source])
        except MergeError as error:
            raise InputError(f"{error.reason}: {error.message}") from error
        spec: dict[str, Any] = {"proxySelector": {}, "defaultMode": str(self.default_mode)}
        if self.download_url:
            spec["downloadURL"] = self.download_url
        return {
            "apiVersion": "athensproxy.dev/v1beta1",
            "kind": "DownloadPolicy",
            "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
            "spec": {**spec, "rules": [_written(rule) for rule in self.rules]},
        }


def from_download_file(text: str) -> Imported:
    """The policy of a download file; neighbours that differ in their pattern alone become one rule.

    Raises:
        InputError: the text is no download file.
    """
    try:
        file = parse(text)
    except PolicySyntaxError as error:
        raise InputError(f"{error}; correct the download file") from error
    imported = Imported(default_mode=file.mode, download_url=file.download_url)
    for block in file.blocks:
        try:
            Pattern.parse(block.pattern.text)
        except InvalidPattern as error:
            imported.notes.append(f"left out, since it never matched: {error}")
            continue
        _append(imported.rules, _rule(file, block, len(imported.rules) + 1))
    return imported


def from_filter_file(text: str, direct_url: str) -> Imported:
    """The policy of a filter file. The deepest path decides there, so that deeper paths come first here.

    Args:
        text: of the file.
        direct_url: where modules with the sign `D` are sent, which Athens reads from GlobalEndpoint.

    Raises:
        InputError: a line is no rule, or needs the URL.
    """
    imported = Imported(download_url=direct_url)
    lines: dict[str, tuple[int, list[str]]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.strip().split(" ")
        if not line.strip() or line.strip().startswith("#"):
            continue
        if len(fields) > 3 or fields[0] not in _SIGNS:
            raise InputError(f"line {number}: not a rule of a filter file; write + - or D, a path, and versions")
        lines[fields[1].strip("/") if len(fields) > 1 else ""] = (number, fields)
    for path, (number, fields) in sorted(
        lines.items(), key=lambda item: (-len(item[0].split("/")) * bool(item[0]), item[0])
    ):
        imported.rules += _filter_rules(imported, path, number, fields)
    return imported


def _filter_rules(imported: Imported, path: str, number: int, fields: Sequence[str]) -> Iterator[PolicyRule]:
    mode = _SIGNS[fields[0]]
    if mode is Mode.REDIRECT and not imported.download_url:
        raise InputError(f"line {number}: D needs the proxy that Athens has as GlobalEndpoint; add --direct-url")
    ranges = [_range(imported, item, number) for item in fields[2].split(",")] if len(fields) == 3 else [""]
    for versions in ranges:
        if versions is not None:
            name = _name(path or "all-others", f"line-{number}")
            yield PolicyRule(
                f"{name[:57]}-{ranges.index(versions)}" if len(ranges) > 1 else name,
                (path or "*",),
                mode,
                versions=versions,
                reason=f"excluded by line {number} of the filter file" if mode is Mode.DENY else "",
            )


def _range(imported: Imported, qualifier: str, number: int) -> str | None:
    """The version range of a qualifier; None, with a note, for one that matched nothing."""
    match = _QUALIFIER.fullmatch(qualifier.rstrip("*").rstrip("."))
    if match is None or (match["sign"] and match["numbers"].count(".") < 2) or match["rest"]:
        imported.notes.append(f"line {number}: {qualifier!r} has no range here; write it as versions of a rule")
        return None
    numbers = [int(part) for part in match["numbers"].split(".")]
    above = [*numbers[:-1], numbers[-1] + 1] if not match["sign"] else numbers
    full, bound = _version(numbers), _version(above) + "-0"
    match match["sign"], len(numbers):
        case "~", _:
            return f">={full} <{_version([numbers[0], numbers[1] + 1])}-0"
        case "^", _:
            return f">={full} <{_version([numbers[0] + 1])}-0"
        case "<", _:
            return f"<={full}"
        case _, 3:
            imported.notes.append(f"line {number}: {qualifier} was a prefix, it is exactly that version now")
            return f"={full}"
        case _:
            return f">={full}-0 <{bound}"


def _version(numbers: Sequence[int]) -> str:
    return "v" + ".".join(str(number) for number in [*numbers, 0, 0][:3])


def _append(rules: list[PolicyRule], rule: PolicyRule) -> None:
    """The rule, or its pattern at the end of the last rule if that does the same."""
    last = rules[-1] if rules else None
    if last is not None and len(last.patterns) < MAX_PATTERNS:
        joined = PolicyRule(**{**vars(rule), "name": last.name, "patterns": last.patterns})
        if joined == last:
            rules[-1] = PolicyRule(**{**vars(last), "patterns": (*last.patterns, *rule.patterns)})
            return
    rules.append(rule)


def _rule(file: DownloadFile, block: Block, number: int) -> PolicyRule:
    del file
    return PolicyRule(
        name=_name(block.name.rpartition("#")[2] or block.pattern.text, str(number)),
        patterns=(block.pattern.text,),
        mode=block.mode,
        download_url=block.download_url,
        versions=block.versions.text if block.versions else "",
        reason=block.reason,
        min_age="" if block.min_age_s is None else durations.text_of(block.min_age_s),
        upstream=block.upstream,
        audit=block.audit,
    )


def _name(text: str, number: str) -> str:
    """A DNS label that tells the rule from every other one."""
    words = _NOT_A_NAME.sub("-", text.lower()).strip("-") or "all"
    return f"{words[:50].strip('-')}-{number}"


def _written(rule: PolicyRule) -> dict[str, Any]:
    fields = {
        "name": rule.name,
        "patterns": list(rule.patterns),
        "mode": str(rule.mode),
        "downloadURL": rule.download_url,
        "versions": rule.versions,
        "minAge": rule.min_age,
        "upstream": rule.upstream,
        "audit": rule.audit,
        "reason": rule.reason,
    }
    return {name: value for name, value in fields.items() if value}
