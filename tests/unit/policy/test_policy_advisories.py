"""Advisories become deny rules for exactly the affected versions of exactly the named module, until they are waived."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from athens_policy.advisories import InvalidAdvisory, Waiver, deny_rules
from athens_policy.decide import Denied, compile_policy, decide, decide_module, visible
from athens_policy.merge import PolicySource, Tier, merge
from athens_policy.parse import parse
from athens_policy.render import render

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def record(identity: str = "GO-2026-0001", *events: dict[str, str], module: str = "example.com/m", **more: Any) -> Any:
    ranges = [{"type": "SEMVER", "events": list(events)}] if events else []
    affected = [{"package": {"ecosystem": "Go", "name": module}, "ranges": ranges}]
    return {"id": identity, "summary": "Panic in Parse", "affected": affected, **more}


def denied(*records: Any, waivers: tuple[Waiver, ...] = (), module: str = "example.com/m") -> list[str]:
    """Which of some versions of a module are denied, through the rendered file as the proxy reads it."""
    rules = deny_rules({"osv": json.dumps(list(records))}, waivers, NOW)
    merged = merge([PolicySource("DownloadPolicy", "a", "p", 1, Tier.SELECTED, 0, rules)])
    compiled = compile_policy(parse(render(merged)))
    versions = ["v0.9.0", "v1.0.0", "v1.2.0-rc.1", "v1.2.0", "v1.5.0", "v2.0.0+incompatible"]
    return [version for version in versions if isinstance(decide(compiled, module, version).effect, Denied)]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([{"introduced": "0"}, {"fixed": "1.2.0"}], ["v0.9.0", "v1.0.0", "v1.2.0-rc.1"]),
        ([{"introduced": "1.0.0"}, {"fixed": "1.2.0"}], ["v1.0.0", "v1.2.0-rc.1"]),
        ([{"introduced": "1.0.0"}, {"last_affected": "1.2.0"}], ["v1.0.0", "v1.2.0-rc.1", "v1.2.0"]),
        ([{"introduced": "1.2.0"}], ["v1.2.0", "v1.5.0", "v2.0.0+incompatible"]),
        (
            [{"introduced": "0"}, {"fixed": "1.0.0"}, {"introduced": "1.2.0"}, {"fixed": "2.0.0"}],
            ["v0.9.0", "v1.2.0", "v1.5.0"],
        ),
        ([{"fixed": "1.0.0"}, {"introduced": "0"}], ["v0.9.0"]),
        ([{"introduced": "0"}], ["v0.9.0", "v1.0.0", "v1.2.0-rc.1", "v1.2.0", "v1.5.0", "v2.0.0+incompatible"]),
    ],
)
def test_exactly_the_affected_versions_are_denied(events: list[dict[str, str]], expected: list[str]) -> None:
    assert denied(record("GO-2026-0001", *events)) == expected


@pytest.mark.parametrize("module", ["example.com/m/v2", "example.com/m/api", "example.com/other"])
def test_no_other_module_is_denied_not_even_below_the_named_one(module: str) -> None:
    assert denied(record("GO-1", {"introduced": "0"}), module=module) == []


def test_a_module_whose_every_version_is_affected_is_denied_as_a_whole() -> None:
    rules = deny_rules({"osv": json.dumps(record("GO-1", {"introduced": "0"}))}, (), NOW)
    merged = merge([PolicySource("DownloadPolicy", "a", "p", 1, Tier.SELECTED, 0, rules)])
    compiled = compile_policy(merged.file)

    assert isinstance(decide_module(compiled, "example.com/m").effect, Denied)
    assert not isinstance(decide_module(compiled, "example.com/m/v2").effect, Denied)
    assert visible(compiled, "example.com/m/v2", ["v2.0.0"], first_seen=lambda _: None) == ["v2.0.0"]


def test_the_client_reads_the_advisory_and_the_fix() -> None:
    (rule,) = deny_rules({"osv": json.dumps(record("GO-2026-0001", {"introduced": "0"}, {"fixed": "1.2.0"}))}, (), NOW)

    assert rule.name == "go-2026-0001"
    assert rule.reason == "GO-2026-0001: Panic in Parse; fixed in v1.2.0"


@pytest.mark.parametrize(
    ("until", "is_hidden"), [(date(2026, 3, 1), True), (date(2026, 2, 28), False), (date(2027, 1, 1), True)]
)
@pytest.mark.parametrize("identity", ["GO-2026-0001", "CVE-2026-1"])
def test_a_waiver_hides_an_advisory_up_to_the_end_of_its_last_day(until: date, is_hidden: bool, identity: str) -> None:
    found = denied(
        record("GO-2026-0001", {"introduced": "0"}, aliases=["CVE-2026-1"]), waivers=(Waiver(identity, until),)
    )

    assert (found == []) is is_hidden


def test_withdrawn_records_other_ecosystems_and_the_standard_library_give_no_rule() -> None:
    other = record("GO-4", {"introduced": "0"})
    other["affected"][0]["package"]["ecosystem"] = "PyPI"
    records = [
        record("GO-2", {"introduced": "0"}, withdrawn="2026-01-01T00:00:00Z"),
        record("GO-3", {"introduced": "0"}, module="stdlib"),
        other,
    ]

    assert deny_rules({"osv": json.dumps(records)}, (), NOW) == ()


def test_the_same_records_give_the_same_rules_however_they_are_divided() -> None:
    one, two = record("GO-1", {"introduced": "0"}), record("GO-2", {"introduced": "1.0.0"}, module="example.com/n")

    assert deny_rules({"a": json.dumps([one, two])}, (), NOW) == deny_rules(
        {"z": json.dumps(one), "b": json.dumps([two])}, (), NOW
    )


@pytest.mark.parametrize("summary", ['x"\n}\ndownload "*" {', "${x}", "%{if}", "x" * 500, "", "tab\there"])
def test_no_summary_breaks_the_file(summary: str) -> None:
    assert denied({**record("GO-1", {"introduced": "0"}), "summary": summary})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "osv: not JSON"),
        ("[1]", r"osv\[0\]: not an OSV record"),
        ('{"affected": []}', "osv: id is missing"),
        (json.dumps(record("GO-1", {"introduced": "one"})), r"GO-1: affected\[0\].ranges\[0\].events: 'one'"),
        (json.dumps({"id": "GO-1", "affected": {"a": 1}}), "affected is not a list of objects"),
        (json.dumps({"id": "GO-1", "affected": [{}]}), r"affected\[0\].package is missing"),
        (json.dumps({"id": "GO-1", "affected": ["x"]}), "affected is not a list of objects"),
        (json.dumps(record("GO-1", {"introduced": "0"}, module="a b")), "package.name"),
    ],
)
def test_a_record_that_cannot_be_read_is_named_with_its_field(text: str, says: str) -> None:
    with pytest.raises(InvalidAdvisory, match=says) as refused:
        deny_rules({"osv": text}, (), NOW)
    assert str(refused.value).isprintable()
