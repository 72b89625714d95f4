"""`docs/metrics.md` and the code say the same: every metric that is exported is documented, and the other way round."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from athens_proxy.layer_metrics import LayerMetrics
from athens_proxy.metrics import Metrics
from athens_proxy.volume_metrics import VolumeMetrics
from support.tree import ROOT

SOURCES = ROOT / "proxy/athens_proxy"
PAGE = ROOT / "docs/metrics.md"
TYPES = {
    "Counter": "counter",
    "counter": "counter",
    "CounterMetricFamily": "counter",
    "Gauge": "gauge",
    "GaugeMetricFamily": "gauge",
    "Histogram": "histogram",
    "HistogramMetricFamily": "histogram",
}


@dataclass(frozen=True)
class Promised:
    """A metric as Prometheus sees it."""

    name: str
    type: str
    labels: frozenset[str]


def in_the_code() -> Iterator[Promised]:
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TYPES:
                yield from of_call(node, path.read_text())


def of_call(call: ast.Call, source: str) -> Iterator[Promised]:
    first = call.args[0] if call.args else None
    if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
        return
    assert isinstance(call.func, ast.Name)
    kind = TYPES[call.func.id]
    given = [word.value for word in call.keywords if word.arg in ("labels", "labelnames")] + call.args[2:3]
    names = given[0] if given else ast.List([])
    if isinstance(names, ast.Name):  # defined above, for two metrics
        (written,) = set(re.findall(rf"{names.id} = (\[.*\])", source))
        names = ast.parse(written, mode="eval").body
    yield Promised(first.value + ("_total" if kind == "counter" else ""), kind, frozenset(ast.literal_eval(names)))


def in_the_docs() -> Iterator[Promised]:
    for line in PAGE.read_text().splitlines():
        row = re.match(r"\| `(\w+)` \| (\w+) \|(.*?)\|", line)
        if row:
            labels = re.sub(r"\(.*?\)", "", row[3])
            yield Promised(row[1], row[2], frozenset(re.findall(r"`(\w+)`", labels)))


def test_the_page_and_the_code_promise_the_same_metrics() -> None:
    documented, exported = list(in_the_docs()), set(in_the_code())

    assert len(documented) == len({metric.name for metric in documented})
    assert {metric.name for metric in documented} == {metric.name for metric in exported}
    assert set(documented) == exported


def test_a_scrape_has_no_family_and_no_label_beyond_the_page() -> None:
    metrics, layers = Metrics(), LayerMetrics()
    metrics.register(layers)
    metrics.register(VolumeMetrics(ROOT))
    metrics.lookup("zip", hit=False)
    metrics.fetch(True, 0.1)
    metrics.request("GET", 200, 0.1)
    metrics.decision("rule", "deny", audit=False)
    layers.asked("proxy", "success", 0.1)
    layers.queue("stash", lambda: 1)
    layers.spans("exported", 1)
    documented = {metric.name: metric for metric in in_the_docs()}

    text = metrics.render(policy_digest="sha256:00")[0].decode()

    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == documented[name].labels, name


def test_no_label_can_hold_what_a_stranger_asks_for() -> None:
    labels = {label for metric in in_the_code() for label in metric.labels}

    assert not labels & {"module", "path", "version", "host", "url", "client", "user", "remote"}


def test_the_names_of_athens_are_kept() -> None:
    athens = {"proxy_cache_lookup_total", "proxy_upstream_fetch_total", "proxy_upstream_fetch_duration_seconds"}

    assert athens <= {metric.name for metric in in_the_code()}
