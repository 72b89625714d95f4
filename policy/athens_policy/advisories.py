"""Turns advisories about Go modules into deny rules: one for each range of affected versions.

A rule covers exactly the module that the advisory names, none below it, and carries the advisory's id as its name.
Advisories about the standard library and the toolchain name no module and are passed over, withdrawn ones too.

Source: https://ossf.github.io/osv-schema/ (events of ranges), https://go.dev/doc/security/vuln/database.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from athens_policy import semver
from athens_policy.model import Mode
from athens_policy.patterns import InvalidPattern, Pattern
from athens_policy.sources import PolicyRule
from athens_policy.texts import MAX_REASON

NO_MODULES: Final = ("stdlib", "toolchain")
_NOT_A_NAME: Final = re.compile(r"[^a-z0-9]+")
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e\u00a1-\uffff]+")


class InvalidAdvisory(ValueError):
    """A record cannot be read; the message names it, its field and what is allowed."""


@dataclass(frozen=True)
class Waiver:
    """An advisory that is known and accepted for a while.

    Args:
        advisory: its id, or one of its aliases.
        until: the last day, in UTC, on which it is not enforced.
    """

    advisory: str
    until: date

    def holds(self, now: datetime) -> bool:
        """Whether it is in force; `now` has a time zone."""
        end = datetime(self.until.year, self.until.month, self.until.day, tzinfo=UTC) + timedelta(days=1)
        return now < end


def deny_rules(texts: Mapping[str, str], waivers: Collection[Waiver], now: datetime) -> tuple[PolicyRule, ...]:
    """The rules of all records, by id, so that the same records give the same rules however they are divided.

    Args:
        texts: by name, each one record or a list of them, as JSON.
        waivers: those that hold hide their advisory.
        now: with its time zone.

    Raises:
        InvalidAdvisory: the first record that cannot be read.
    """
    hidden = {waiver.advisory for waiver in waivers if waiver.holds(now)}
    records: dict[str, Mapping[str, Any]] = {}
    for name, text in sorted(texts.items()):
        for where, record in _records(name, text):
            records[_text(record, "id", where)] = record
    return tuple(
        rule
        for advisory, record in sorted(records.items())
        if not record.get("withdrawn") and hidden.isdisjoint({advisory, *(record.get("aliases") or ())})
        for rule in _rules(advisory, record)
    )


def _records(name: str, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InvalidAdvisory(f"{name}: not JSON ({error}); write one OSV record or a list of them") from error
    listed = found if isinstance(found, list) else [found]
    for index, record in enumerate(listed):
        where = f"{name}[{index}]" if isinstance(found, list) else name
        if not isinstance(record, dict):
            raise InvalidAdvisory(f"{where}: not an OSV record; write an object with id and affected")
        yield where, record


def _rules(advisory: str, record: Mapping[str, Any]) -> Iterator[PolicyRule]:
    summary = (
        _UNPRINTABLE.sub(" ", str(record.get("summary") or "no summary")).replace("${", "$ {").replace("%{", "% {")
    )
    for number, affected in enumerate(_objects(record, "affected", advisory)):
        where = f"{advisory}: affected[{number}]"
        package = affected.get("package")
        if not isinstance(package, dict):
            raise InvalidAdvisory(f"{where}.package is missing; write its ecosystem and name")
        module = _text(package, "name", f"{where}.package")
        if package.get("ecosystem") != "Go" or module in NO_MODULES:
            continue
        try:
            Pattern.parse(module)
        except InvalidPattern as error:
            raise InvalidAdvisory(f"{where}.package.name: {error}") from error
        for versions, fixed in _versions(affected, where):
            fix = f"; fixed in {fixed}" if fixed else "; no fixed version is known"
            yield PolicyRule(
                name=_NOT_A_NAME.sub("-", advisory.lower()).strip("-")[:63],
                patterns=(module,),
                mode=Mode.DENY,
                versions=versions,
                reason=f"{advisory}: {summary}"[: MAX_REASON - len(fix)] + fix,
                exact=True,
            )


def _versions(affected: Mapping[str, Any], where: str) -> Iterator[tuple[str, str]]:
    """Each affected range as a rule writes it, with the version that ends it; "" for all versions."""
    for index, found in enumerate(_objects(affected, "ranges", where)):
        if found.get("type") == "SEMVER":
            yield from _ranges(_objects(found, "events", f"{where}.ranges[{index}]"), f"{where}.ranges[{index}]")
    for version in affected.get("versions") or ():
        yield f"={_version(version, f'{where}.versions')}", ""


def _ranges(events: Sequence[Mapping[str, Any]], where: str) -> Iterator[tuple[str, str]]:
    """Source: the OSV schema, "evaluation algorithm": events count in the order of their versions."""
    ordered = sorted(
        ((kind, _version(event[kind], f"{where}.events")) for event in events for kind in event),
        key=lambda event: (semver.precedence(event[1] or "v0.0.0-0"), event[0] == "introduced"),
    )
    begin: str | None = None
    for kind, version in ordered:
        if kind == "introduced":
            begin = version if begin is None else begin
        elif begin is not None and kind in ("fixed", "last_affected"):
            sign = "<" if kind == "fixed" else "<="
            yield (
                " ".join(filter(None, (f">={begin}" if begin else "", f"{sign}{version}"))),
                (version if kind == "fixed" else ""),
            )
            begin = None
    if begin is not None:
        yield (f">={begin}" if begin else ""), ""


def _version(text: object, where: str) -> str:
    """A version with its v; "" for the beginning of all versions, which OSV writes as 0."""
    if text == "0":
        return ""
    version = f"v{str(text).removeprefix('v')}"
    if semver.canonical(version) != version.removesuffix("+incompatible"):
        raise InvalidAdvisory(f"{where}: {str(text)[:64]!r} is not a full version; write major.minor.patch")
    return version


def _text(value: Mapping[str, Any], name: str, where: str) -> str:
    text = value.get(name)
    if not isinstance(text, str) or not text:
        raise InvalidAdvisory(f"{where}: {name} is missing; write it as a text")
    return text


def _objects(value: Mapping[str, Any], name: str, where: str) -> Sequence[Mapping[str, Any]]:
    listed = value.get(name) or []
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise InvalidAdvisory(f"{where}: {name} is not a list of objects; see the OSV schema")
    return listed
