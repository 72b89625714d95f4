"""The Grafana dashboard of proxies: one table of panels, for the chart and for a single proxy; pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from athens_operator.manifests import Manifest

_PROXY: Final = 'namespace=~"$namespace",job=~"$job"'
_COLUMNS: Final = 3
_WIDTH, _HEIGHT = 24 // _COLUMNS, 7


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture.

    Attributes:
        title: what it shows.
        unit: in Grafana's words.
        series: expression and legend of each line; `$proxy` stands for the labels of the chosen proxies.
        kind: timeseries or stat.
    """

    title: str
    unit: str
    series: tuple[tuple[str, str], ...]
    kind: str = "timeseries"


def _quantiles(metric: str, *, by: str = "") -> tuple[tuple[str, str], ...]:
    labels = f"le, {by}" if by else "le"
    legend = f"{{{{{by}}}}} " if by else ""
    return tuple(
        (f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket{{$proxy}}[5m])))", f"{legend}p{q[2:]}")
        for q in ("0.50", "0.90", "0.99")
    )


_LOOKUPS: Final = "sum(rate(proxy_cache_lookup_total{$proxy}[5m]))"
PANELS: Final = (
    Panel(
        "Hit ratio",
        "percentunit",
        ((f'sum(rate(proxy_cache_lookup_total{{cache_result="hit",$proxy}}[5m])) / {_LOOKUPS}', "hits"),),
        kind="stat",
    ),
    Panel("Requests", "reqps", (("sum(rate(proxy_http_requests_total{$proxy}[5m]))", "requests"),), kind="stat"),
    Panel(
        "Answers that are errors",
        "percentunit",
        (
            (
                'sum(rate(proxy_http_requests_total{status=~"5..",$proxy}[5m]))'
                " / sum(rate(proxy_http_requests_total{$proxy}[5m]))",
                "5xx",
            ),
        ),
        kind="stat",
    ),
    Panel(
        "Requests by status",
        "reqps",
        (("sum by (status) (rate(proxy_http_requests_total{$proxy}[5m]))", "{{status}}"),),
    ),
    Panel("How long requests take", "s", _quantiles("proxy_http_request_duration_seconds")),
    Panel(
        "Files asked for, stored or not",
        "reqps",
        (
            (
                "sum by (cache_result, cache_type) (rate(proxy_cache_lookup_total{$proxy}[5m]))",
                "{{cache_type}} {{cache_result}}",
            ),
        ),
    ),
    Panel(
        "Upstreams by outcome",
        "reqps",
        (
            (
                "sum by (upstream, outcome) (rate(athens_upstream_requests_total{$proxy}[5m]))",
                "{{upstream}} {{outcome}}",
            ),
        ),
    ),
    Panel("How long upstreams take", "s", _quantiles("athens_upstream_request_duration_seconds", by="upstream")),
    Panel(
        "Fetches",
        "reqps",
        (("sum by (fetch_result) (rate(proxy_upstream_fetch_total{$proxy}[5m]))", "{{fetch_result}}"),),
    ),
    Panel("Work that waits", "short", (("sum by (queue) (athens_queue_depth{$proxy})", "{{queue}}"),)),
    Panel("How long fetches wait for a lock", "s", _quantiles("athens_lock_wait_seconds")),
    Panel("Locks", "ops", (("sum by (result) (rate(athens_lock_total{$proxy}[5m]))", "{{result}}"),)),
    Panel(
        "Policy decisions",
        "ops",
        (
            (
                "sum by (rule, verdict, audit) (rate(athens_policy_decisions_total{$proxy}[5m]))",
                "{{rule}} {{verdict}} audit={{audit}}",
            ),
        ),
    ),
    Panel("Policies in force", "short", (("count by (digest) (athens_policy_info{$proxy})", "{{digest}}"),)),
    Panel(
        "Changes of the policy",
        "ops",
        (("sum by (result) (increase(athens_policy_reload_total{$proxy}[5m]))", "{{result}}"),),
    ),
    Panel(
        "Volume of the store",
        "bytes",
        (
            ("athens_store_volume_bytes{$proxy} - athens_store_volume_free_bytes{$proxy}", "used {{pod}}"),
            ("athens_store_volume_bytes{$proxy}", "size {{pod}}"),
        ),
    ),
    Panel("Stored", "bytes", (("max by (namespace, job) (athens_store_bytes{$proxy})", "{{namespace}}/{{job}}"),)),
    Panel(
        "Evictions",
        "ops",
        (("sum by (reason) (rate(athens_evictions_total{$proxy}[5m]))", "{{reason}}"),),
    ),
)


def dashboard(*, namespace: str, name: str) -> str:
    """The dashboard of one proxy as Grafana reads it; if both are "" that of all, with a choice.

    Args:
        namespace: of the AthensProxy.
        name: of it, and of its Service.
    """
    title = f"Athens {namespace}/{name}" if name else "Athens proxies"
    board = {
        "title": title,
        "uid": _uid(namespace, name),
        "tags": ["athens"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_source(), *_choices(namespace, name)]},
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }
    return json.dumps(board, indent=1) + "\n"


def _uid(namespace: str, name: str) -> str:
    """Grafana takes forty characters."""
    if not name:
        return "athens-proxies"
    return f"athens-{hashlib.sha256(f'{namespace}/{name}'.encode()).hexdigest()[:20]}"


def _source() -> Manifest:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}


def _choices(namespace: str, name: str) -> list[Manifest]:
    if name:
        return [_constant("namespace", namespace), _constant("job", name)]
    return [
        _query("namespace", "label_values(athens_policy_info, namespace)"),
        _query("job", 'label_values(athens_policy_info{namespace=~"$namespace"}, job)'),
    ]


def _constant(name: str, value: str) -> Manifest:
    return {"name": name, "type": "constant", "hide": 2, "query": value, "current": {"text": value, "value": value}}


def _query(name: str, query: str) -> Manifest:
    return {
        "name": name,
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "$datasource"},
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".+",
        "current": {"text": "All", "value": "$__all"},
    }


def _panel(number: int, panel: Panel) -> Manifest:
    row, column = divmod(number, _COLUMNS)
    source = {"type": "prometheus", "uid": "$datasource"}
    return {
        "id": number + 1,
        "title": panel.title,
        "type": panel.kind,
        "datasource": source,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": source,
                "expr": expr.replace("$proxy", _PROXY),
                "legendFormat": legend,
            }
            for index, (expr, legend) in enumerate(panel.series)
        ],
    }
