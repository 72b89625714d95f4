"""The shipped alerts and dashboard: sound to promtool, firing when they should, made of metrics that exist."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from athens_operator.desired.alerts import OF_A_PROXY, OF_THE_OPERATOR, alert_groups
from athens_operator.desired.dashboard import PANELS, dashboard
from athens_operator.metrics import Metrics
from localcluster.binaries import ensure
from manifests.check import objects
from manifests.derive import CHART, monitoring, rendered
from support.tree import ROOT

ALERTS = CHART / "files/alerts.yaml"
ON = ("metrics.serviceMonitor.enabled=true", "metrics.rules.enabled=true", "metrics.dashboard.enabled=true")
PROXY = 'namespace="team-a",job="go"'


def promtool(*arguments: str | Path) -> str:
    done = subprocess.run([ensure("promtool"), *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@cache
def known_metrics() -> frozenset[str]:
    """Every series that proxies and the operator export."""
    page = (ROOT / "docs/metrics.md").read_text()
    proxies = re.findall(r"^\| `(\w+)` \| (\w+) \|", page, re.MULTILINE)
    operator = [
        (f"{family.name}_total" if family.type == "counter" else family.name, family.type)
        for family in Metrics().registry.collect()
    ]
    histograms = {name for name, kind in (*proxies, *operator) if kind == "histogram"}
    parts = {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    return frozenset({name for name, _ in (*proxies, *operator)} | parts)


def used_metrics(expr: str) -> set[str]:
    return set(re.findall(r"\b(?:athens|proxy)_\w+", re.sub(r'"[^"]*"', "", expr)))


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def test_every_metric_of_alerts_and_dashboard_is_exported() -> None:
    exprs = [rule["expr"] for rule in rules()] + [expr for panel in PANELS for expr, _ in panel.series]
    used = set().union(*map(used_metrics, exprs))

    assert used
    assert used - known_metrics() == set()


def test_the_alerts_that_were_promised_are_there() -> None:
    assert {rule["alert"] for rule in rules()} >= {
        "AthensProxyNotReady", "AthensPolicyNotProgrammed", "AthensPolicyReloadFailed", "AthensUpstreamFailures",
        "AthensSlowUpstream", "AthensHitRatioLow", "AthensVolumeAlmostFull", "AthensOperatorQueueStuck",
        "AthensOperatorLeaseFlapping",
    }  # fmt: skip
    assert len(rules()) == len(OF_A_PROXY) + len(OF_THE_OPERATOR)
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert set(rule["annotations"]) == {"summary", "description"}


def test_the_charts_files_are_those_of_the_tables() -> None:
    assert {path: path.read_text() for path in monitoring()} == monitoring()


def test_promtool_finds_the_rules_sound(tmp_path: Path) -> None:
    one = tmp_path / "one.yaml"
    one.write_text(yaml.safe_dump({"groups": alert_groups(namespace="team-a", name="go")}))

    said = promtool("check", "rules", "--lint=all", "--lint-fatal", ALERTS, one)

    assert said.count("SUCCESS") == 2


def test_rules_of_one_proxy_look_at_that_proxy_only() -> None:
    for rule in alert_groups(namespace="team-a", name="go")[0]["rules"]:
        selectors = re.findall(r"\{([^}]*)\}", rule["expr"])
        assert selectors
        for selector in selectors:
            assert 'namespace="team-a"' in selector
            assert 'job="go"' in selector or 'name="go"' in selector


def counter(name: str, labels: str, per_minute: float) -> dict[str, str]:
    return {"series": f"{name}{{{labels},{PROXY}}}", "values": f"0+{per_minute}x240"}


def gauge(name: str, labels: str, values: str) -> dict[str, str]:
    return {"series": f"{name}{{{labels}}}", "values": values}


LOOKUPS = "proxy_cache_lookup_total"
ASKED = "athens_upstream_requests_total"
TOOK = "athens_upstream_request_duration_seconds_bucket"
# Alert -> series that make it fire, series that do not.
CASES: dict[str, tuple[list[dict[str, str]], list[dict[str, str]]]] = {
    "AthensProxyNotReady": (
        [gauge("athens_operator_proxy_ready", 'namespace="team-a",name="go"', "0x240")],
        [gauge("athens_operator_proxy_ready", 'namespace="team-a",name="go"', "1x240")],
    ),
    "AthensPolicyNotProgrammed": (
        [gauge("athens_policy_info", f'digest="{digest}",pod="{digest}",{PROXY}', "1x240") for digest in "ab"],
        [gauge("athens_policy_info", f'digest="a",pod="{pod}",{PROXY}', "1x240") for pod in "ab"],
    ),
    "AthensPolicyReloadFailed": (
        [counter("athens_policy_reload_total", 'result="failure"', 1)],
        [counter("athens_policy_reload_total", 'result="success"', 1)],
    ),
    "AthensErrors": (
        [
            counter("proxy_http_requests_total", 'method="GET",status="200"', 600),
            counter("proxy_http_requests_total", 'method="GET",status="502"', 60),
        ],
        [
            counter("proxy_http_requests_total", 'method="GET",status="200"', 600),
            counter("proxy_http_requests_total", 'method="GET",status="404"', 600),
            counter("proxy_http_requests_total", 'method="GET",status="503"', 6),
        ],
    ),
    "AthensUpstreamFailures": (
        [
            counter(ASKED, 'upstream="proxy",outcome="success"', 60),
            counter(ASKED, 'upstream="proxy",outcome="timeout"', 60),
        ],
        [
            counter(ASKED, 'upstream="proxy",outcome="success"', 60),
            counter(ASKED, 'upstream="proxy",outcome="not-found"', 600),
        ],
    ),
    "AthensSlowUpstream": (
        [counter(TOOK, f'upstream="proxy",le="{le}"', rate) for le, rate in (("30.0", 6), ("60.0", 60), ("+Inf", 60))],
        [counter(TOOK, f'upstream="proxy",le="{le}"', rate) for le, rate in (("30.0", 60), ("60.0", 60), ("+Inf", 60))],
    ),
    "AthensHitRatioLow": (
        [
            counter(LOOKUPS, 'cache_result="hit",cache_type="zip"', 60),
            counter(LOOKUPS, 'cache_result="miss",cache_type="zip"', 120),
        ],
        [
            counter(LOOKUPS, 'cache_result="hit",cache_type="zip"', 1),
            counter(LOOKUPS, 'cache_result="miss",cache_type="zip"', 2),
        ],
    ),
    "AthensVolumeAlmostFull": (
        [
            gauge("athens_store_volume_free_bytes", PROXY, "9x240"),
            gauge("athens_store_volume_bytes", PROXY, "100x240"),
        ],
        [
            gauge("athens_store_volume_free_bytes", PROXY, "11x240"),
            gauge("athens_store_volume_bytes", PROXY, "100x240"),
        ],
    ),
    "AthensLockUnavailable": (
        [counter("athens_lock_total", 'result="unavailable"', 1)],
        [counter("athens_lock_total", 'result="acquired"', 1)],
    ),
    "AthensIndexBehind": (
        [gauge("athens_index_waiting", PROXY, "3x240")],
        [gauge("athens_index_waiting", PROXY, "3x20 0x220")],
    ),
    "AthensCertificateEnds": (
        [gauge("athens_certificate_expiry_timestamp_seconds", PROXY, "600000x240")],
        [gauge("athens_certificate_expiry_timestamp_seconds", PROXY, "700000x240")],
    ),
    "AthensOperatorAbsent": (
        [gauge("athens_operator_leader", 'pod="a"', "0x240")],
        [gauge("athens_operator_leader", 'pod="a"', "0x240"), gauge("athens_operator_leader", 'pod="b"', "1x240")],
    ),
    "AthensOperatorQueueStuck": (
        [gauge("athens_operator_queue_oldest_seconds", 'pod="a"', "400x240")],
        [gauge("athens_operator_queue_oldest_seconds", 'pod="a"', "200x240")],
    ),
    "AthensOperatorLeaseFlapping": (
        [gauge("athens_operator_leader", 'pod="a"', "0 1 " * 120)],
        [gauge("athens_operator_leader", 'pod="a"', "0x120 1x120")],
    ),
    "AthensOperatorPolicyLagging": (
        [gauge("athens_operator_policy_lagging_pods", 'pod="a"', "1x240")],
        [gauge("athens_operator_policy_lagging_pods", 'pod="a"', "1x3 0x237")],
    ),
    "AthensOperatorFieldFights": (
        [gauge("athens_operator_field_fights_total", 'pod="a"', "0+1x240")],
        [gauge("athens_operator_field_fights_total", 'pod="a"', "7x240")],
    ),
}


def unit_test(alert: str, series: list[dict[str, str]], *, fires: bool) -> dict[str, Any]:
    """Whether an alert fires after three hours, whatever labels and words it then has."""
    expr = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)'
    sample = {"labels": "{}", "value": float(fires)}
    test = {"expr": expr, "eval_time": "3h", "exp_samples": [sample]}
    return {"interval": "1m", "input_series": series, "promql_expr_test": [test]}


def test_every_alert_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    assert set(CASES) == {rule["alert"] for rule in rules()}
    tests = [
        unit_test(alert, series, fires=fires)
        for alert, cases in CASES.items()
        for series, fires in zip(cases, (True, False), strict=True)
    ]
    file = tmp_path / "tests.yaml"
    file.write_text(
        yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}, width=10_000)
    )

    assert "SUCCESS" in promtool("test", "rules", file)


def test_promtool_notices_an_alert_that_does_not_fire(tmp_path: Path) -> None:
    series = CASES["AthensIndexBehind"][1]
    tests = [unit_test("AthensIndexBehind", series, fires=True)]
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "tests": tests}))

    with pytest.raises(AssertionError, match="FAILED"):
        promtool("test", "rules", file)


def test_the_expressions_of_the_dashboard_are_sound(tmp_path: Path) -> None:
    exprs = [
        target["expr"].replace("$namespace", "team-a").replace("$job", "go")
        for panel in json.loads(dashboard(namespace="", name=""))["panels"]
        for target in panel["targets"]
    ]
    file = tmp_path / "rules.yaml"
    recorded = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(exprs)]
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))

    assert f"{len(exprs)} rules found" in promtool("check", "rules", "--lint=none", file)


def test_a_dashboard_of_one_proxy_has_no_choice_and_its_own_place() -> None:
    whole, one = (json.loads(dashboard(namespace=n, name=p)) for n, p in (("", ""), ("team-a", "go")))
    long = json.loads(dashboard(namespace="n" * 63, name="p" * 63))

    assert [variable["type"] for variable in one["templating"]["list"]] == ["datasource", "constant", "constant"]
    assert [variable["type"] for variable in whole["templating"]["list"]] == ["datasource", "query", "query"]
    assert len({whole["uid"], one["uid"], long["uid"]}) == 3
    assert max(len(board["uid"]) for board in (whole, one, long)) <= 40
    places = [tuple(panel["gridPos"].values()) for panel in whole["panels"]]
    assert len(set(places)) == len(places)


def test_the_chart_ships_them_where_asked_to_and_not_otherwise() -> None:
    by_kind = {manifest["kind"]: manifest for manifest in objects(rendered("crds.enabled=false", *ON))}
    plain = {manifest["kind"] for manifest in objects(rendered("crds.enabled=false"))}

    assert by_kind["PrometheusRule"]["spec"] == yaml.safe_load(ALERTS.read_text())
    assert json.loads(by_kind["ConfigMap"]["data"]["athens-proxies.json"])["title"] == "Athens proxies"
    assert by_kind["ConfigMap"]["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert by_kind["ServiceMonitor"]["spec"]["endpoints"][0]["honorLabels"] is True
    assert by_kind["Service"]["spec"]["ports"][0]["name"] == "metrics"
    assert not plain & {"PrometheusRule", "ConfigMap", "ServiceMonitor"}
