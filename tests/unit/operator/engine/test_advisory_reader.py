"""Advisories of a ConfigMap become rules in front of the policy's own; what cannot be read rejects the policy."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from athens_operator.advisories import KEPT_S, AdvisoryReader
from athens_operator.attachment import attached
from athens_operator.cluster import Forbidden
from athens_operator.policies import Policy
from athens_operator.resources import CONFIG_MAPS
from athens_policy.merge import merge
from support.fake_cluster import FakeCluster
from support.operator_values import policy_value, proxy_value, rule

RECORD = {
    "id": "GO-2026-1",
    "summary": "Panic",
    "affected": [
        {
            "package": {"ecosystem": "Go", "name": "example.com/m"},
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.2.0"}]}],
        }
    ],
}


def config_map(namespace: str = "team-a", **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": namespace, "name": "osv"},
        "data": data or {"GO-2026-1.json": json.dumps(RECORD)},
    }


class Clock:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    seconds = 0.0


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.put(config_map())
    return cluster


@pytest.fixture
def reader(cluster: FakeCluster) -> AdvisoryReader:
    return AdvisoryReader(cluster, now=lambda: Clock.now, monotonic_s=lambda: Clock.seconds)


def with_advisories(**more: Any) -> Policy:
    wanted = {"configMapRef": {"name": "osv"}, **more}
    return policy_value(rules=[rule("own", "example.com/m", mode="allow")], proxySelector={}, advisories=wanted)


async def resolved(reader: AdvisoryReader, policy: Policy) -> Policy:
    return (await reader.resolved([policy], lambda _: True))[0]


async def test_the_rules_of_advisories_stand_in_front_of_the_policys_own(reader: AdvisoryReader) -> None:
    policy = await resolved(reader, with_advisories())
    blocks = merge(attached(proxy_value(), [policy], {}).sources).blocks

    assert [(block.rule, block.block.mode, block.block.exact) for block in blocks] == [
        ("team-a/base#go-2026-1", "deny", True),
        ("team-a/base#own", "allow", False),
    ]
    assert blocks[0].block.reason == "GO-2026-1: Panic; fixed in v1.2.0"


async def test_a_waiver_ends_by_the_clock_alone(reader: AdvisoryReader, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = with_advisories(waivers=[{"id": "GO-2026-1", "until": "2026-03-01"}])
    waived = await resolved(reader, policy)
    monkeypatch.setattr(Clock, "now", Clock.now + timedelta(days=1))
    ended = await resolved(reader, policy)
    monkeypatch.setattr(Clock, "now", Clock.now - timedelta(days=2))
    back = await resolved(reader, policy)

    assert [len(found.advisory_rules) for found in (waived, ended, back)] == [0, 1, 0]


async def test_the_config_map_is_read_again_after_a_while(
    reader: AdvisoryReader, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await resolved(reader, with_advisories())
    cluster.objects[CONFIG_MAPS.ref("team-a", "osv")]["data"] = {"other": "[]"}
    soon = await resolved(reader, with_advisories())
    monkeypatch.setattr(Clock, "seconds", KEPT_S)
    later = await resolved(reader, with_advisories())

    assert (len(soon.advisory_rules), len(later.advisory_rules)) == (1, 0)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"a": "{"}, "a: not JSON"),
        ({"a": '{"id": "GO-1", "affected": [{}]}'}, "GO-1: affected[0].package is missing"),
    ],
)
async def test_what_cannot_be_read_rejects_the_policy_with_field_and_reason(
    reader: AdvisoryReader, cluster: FakeCluster, data: dict[str, str], says: str
) -> None:
    cluster.objects[CONFIG_MAPS.ref("team-a", "osv")]["data"] = data
    policy = await resolved(reader, with_advisories())
    attachment = attached(proxy_value(), [policy], {})

    assert [str(problem).partition(": ")[0] for problem in policy.problems] == ["spec.advisories.configMapRef"]
    assert says in str(policy.problems[0])
    assert [str(missing.reason) for missing in attachment.missing] == ["PolicyRejected"]


async def test_an_absent_or_forbidden_config_map_rejects_the_policy(
    reader: AdvisoryReader, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    del cluster.objects[CONFIG_MAPS.ref("team-a", "osv")]
    absent = await resolved(reader, with_advisories())
    monkeypatch.setattr(Clock, "seconds", KEPT_S)
    cluster.fail_with = Forbidden("read ConfigMap: forbidden")
    forbidden = await resolved(reader, with_advisories())

    assert "is not there; create it" in str(absent.problems[0])
    assert "may not be read" in str(forbidden.problems[0])


async def test_policies_that_do_not_apply_are_not_read(reader: AdvisoryReader, cluster: FakeCluster) -> None:
    cluster.fail_with = Forbidden("read ConfigMap: forbidden")
    policy = with_advisories()

    assert await reader.resolved([policy], lambda _: False) == [policy]
