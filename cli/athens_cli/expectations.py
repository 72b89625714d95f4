"""Tests of policies as data: which verdict a proxy must have about which module. Pure.

proxy: team-a/go
expect:
  - {module: example.com/evil, version: v1.0.0, verdict: deny, rule: guard#evil}
  - {module: example.org/young, version: v1.2.0, age: 24h, verdict: deny}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from xml.etree import ElementTree as xml

from athens_cli.errors import InputError
from athens_cli.explain import VERDICTS, Explainer, Question, asked_about
from athens_cli.located import Document
from athens_policy import durations
from athens_policy.decide import verdict_of
from athens_policy.durations import InvalidDuration

_FIELDS: Final = ("module", "version", "verdict", "rule", "age")
_NOW: Final = datetime(2000, 1, 1, tzinfo=UTC)  # ages are given, so that no result depends on the clock


@dataclass(frozen=True)
class Expectation:
    """One line of a test file."""

    question: Question
    verdict: str
    rule: str
    place: str

    @property
    def name(self) -> str:
        """What it is about."""
        version = f"@{self.question.version}" if self.question.version else ""
        return f"{self.question.module}{version}"


@dataclass(frozen=True)
class Suite:
    """What one proxy must do."""

    proxy: str
    expectations: tuple[Expectation, ...]


@dataclass(frozen=True)
class Outcome:
    """Whether an expectation holds; `problem` is empty if it does."""

    proxy: str
    expectation: Expectation
    problem: str


def suite(document: Document) -> Suite:
    """The suite of one document.

    Raises:
        InputError: a field is missing, unknown or has no meaning; names its line.
    """
    value = document.value
    if not isinstance(value, Mapping) or not isinstance(value.get("proxy"), str):
        raise InputError(f"{document.file}:{document.line('')}: proxy is missing; write proxy: namespace/name")
    listed = value.get("expect")
    if not isinstance(listed, list) or not listed:
        raise InputError(f"{document.file}:{document.line('expect')}: expect is empty; write a list of expectations")
    return Suite(value["proxy"], tuple(_expectation(document, index, item) for index, item in enumerate(listed)))


def outcomes(found: Suite, explainer: Explainer) -> Iterator[Outcome]:
    """What became of every expectation."""
    for expectation in found.expectations:
        decision = explainer.decision(expectation.question)
        verdict, rule = str(verdict_of(decision.effect)), explainer.rule_of(decision)
        problem = ""
        if verdict != expectation.verdict:
            problem = f"expected {expectation.verdict}, is {verdict} by {rule}"
        elif expectation.rule and rule != expectation.rule:
            problem = f"expected rule {expectation.rule}, {rule} decides"
        yield Outcome(found.proxy, expectation, problem)


def junit(results: list[Outcome]) -> str:
    """The outcomes as JUnit XML, one suite per proxy."""
    root = xml.Element("testsuites")
    for proxy in dict.fromkeys(outcome.proxy for outcome in results):
        own = [outcome for outcome in results if outcome.proxy == proxy]
        failures = sum(bool(outcome.problem) for outcome in own)
        element = xml.SubElement(root, "testsuite", name=proxy, tests=str(len(own)), failures=str(failures))
        for outcome in own:
            case = xml.SubElement(element, "testcase", classname=proxy, name=outcome.expectation.name)
            if outcome.problem:
                xml.SubElement(case, "failure", message=outcome.problem).text = outcome.expectation.place
    xml.indent(root)
    return xml.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _expectation(document: Document, index: int, item: Any) -> Expectation:
    path = f"expect[{index}]"
    place = f"{document.file}:{document.line(path)}"
    if not isinstance(item, Mapping) or any(not isinstance(text, str) for text in item.values()):
        raise InputError(f"{place}: write {{module: example.com/x, version: v1.0.0, verdict: deny}}, all of them texts")
    unknown = [name for name in item if name not in _FIELDS]
    if unknown:
        raise InputError(f"{place}: {unknown[0]} is unknown; write {', '.join(_FIELDS)}")
    if item.get("verdict") not in VERDICTS or not item.get("module"):
        raise InputError(f"{place}: module and verdict are required; a verdict is one of {', '.join(VERDICTS)}")
    try:
        age_s = durations.parse_seconds(item["age"]) if "age" in item else None
    except InvalidDuration as error:
        raise InputError(f"{place}: age: {error}") from error
    first_seen = None if age_s is None else _NOW - timedelta(seconds=age_s)
    try:
        module, version = asked_about(f"{item['module']}@{item.get('version', '')}")
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
    question = Question(module, version, first_seen, _NOW)
    return Expectation(question, item["verdict"], item.get("rule", ""), place)
