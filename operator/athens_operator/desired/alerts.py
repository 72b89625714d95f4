"""The alerts of proxies: one table for the chart, which watches all of them, and for the rules of a single one; pure.

In an expression `$proxy` stands for the labels that a scrape gives the series of a proxy (`namespace`, and `job`, which
is the name of its Service), `$object` for those of the operator's own series about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from athens_operator.manifests import Manifest


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert.

    Attributes:
        name: as in Alertmanager.
        expr: in PromQL.
        after: how long it has to be so, as Prometheus writes durations.
        severity: critical, warning or info.
        summary: what is wrong, in one line.
        description: what it means and what to do.
    """

    name: str
    expr: str
    after: str
    severity: str
    summary: str
    description: str


_WHERE: Final = "{{ $labels.namespace }}/{{ $labels.job }}"
_OBJECT: Final = "{{ $labels.namespace }}/{{ $labels.name }}"
_BY: Final = "by (namespace, job)"
_FAILED: Final = 'outcome!~"success|not-found|denied|cancelled"'

OF_A_PROXY: Final = (
    Alert(
        "AthensProxyNotReady",
        "athens_operator_proxy_ready{$object} == 0",
        "15m",
        "critical",
        f"AthensProxy {_OBJECT} is not ready",
        "Its condition Ready is not True; kubectl describe athensproxy tells why.",
    ),
    Alert(
        "AthensPolicyNotProgrammed",
        f"count {_BY} (count by (namespace, job, digest) (athens_policy_info{{$proxy}})) > 1",
        "5m",
        "critical",
        f"The pods of {_WHERE} enforce different policies",
        "Some pods have not taken up the last change of a policy; status.policy of the AthensProxy names them.",
    ),
    Alert(
        "AthensPolicyReloadFailed",
        f'sum {_BY} (increase(athens_policy_reload_total{{result="failure",$proxy}}[15m])) > 0',
        "0m",
        "warning",
        f"{_WHERE} refuses a changed policy",
        "The last good policy stays in force; /-/policy and the log say what is wrong with the new one.",
    ),
    Alert(
        "AthensErrors",
        f'sum {_BY} (rate(proxy_http_requests_total{{status=~"5..",$proxy}}[10m]))'
        f" / sum {_BY} (rate(proxy_http_requests_total{{$proxy}}[10m])) > 0.05",
        "10m",
        "warning",
        f"{_WHERE} answers one request in twenty with an error",
        "Its log has a line with the cause for each of them, found by Athens-Request-ID.",
    ),
    Alert(
        "AthensUpstreamFailures",
        f"sum {_BY} (rate(athens_upstream_requests_total{{{_FAILED},$proxy}}[10m]))"
        f" / sum {_BY} (rate(athens_upstream_requests_total{{$proxy}}[10m])) > 0.2",
        "10m",
        "warning",
        f"Upstreams of {_WHERE} fail",
        "One question in five to an upstream fails; athens_upstream_requests_total tells of which class and how.",
    ),
    Alert(
        "AthensSlowUpstream",
        "histogram_quantile(0.9, sum by (namespace, job, le)"
        " (rate(athens_upstream_request_duration_seconds_bucket{$proxy}[15m]))) > 30",
        "15m",
        "warning",
        f"Upstreams of {_WHERE} are slow",
        "One question in ten to an upstream takes longer than 30 s; traces show which layer it waits in.",
    ),
    Alert(
        "AthensHitRatioLow",
        f'sum {_BY} (rate(proxy_cache_lookup_total{{cache_result="hit",$proxy}}[1h]))'
        f" / sum {_BY} (rate(proxy_cache_lookup_total{{$proxy}}[1h])) < 0.5"
        f" and sum {_BY} (rate(proxy_cache_lookup_total{{$proxy}}[1h])) > 0.1",
        "1h",
        "info",
        f"{_WHERE} fetches most of what it is asked for",
        "Fewer than half of the files were stored; a store that is new, lost or too small for its retention does that.",
    ),
    Alert(
        "AthensVolumeAlmostFull",
        "athens_store_volume_free_bytes{$proxy} / athens_store_volume_bytes{$proxy} < 0.1",
        "15m",
        "warning",
        f"The volume of {_WHERE} is almost full",
        "Less than a tenth is free, and saves end with 503 once nothing is; enlarge it or set spec.retention.",
    ),
    Alert(
        "AthensLockUnavailable",
        f'sum {_BY} (increase(athens_lock_total{{result="unavailable",$proxy}}[10m])) > 0',
        "10m",
        "warning",
        f"{_WHERE} cannot lock versions among its replicas",
        "Modules are served, but replicas may fetch the same version twice; check the lock service.",
    ),
    Alert(
        "AthensIndexBehind",
        f"sum {_BY} (athens_index_waiting{{$proxy}}) > 0",
        "30m",
        "warning",
        f"The index of {_WHERE} does not take stored versions",
        "/index is incomplete until its database answers; nothing is lost meanwhile.",
    ),
    Alert(
        "AthensCertificateEnds",
        "athens_certificate_expiry_timestamp_seconds{$proxy} - time() < 7 * 24 * 3600",
        "1h",
        "warning",
        f"The certificate of {_WHERE} ends within a week",
        "Renew the Secret that spec.tls names; running pods take it up by themselves.",
    ),
)

OF_THE_OPERATOR: Final = (
    Alert(
        "AthensOperatorAbsent",
        "absent(athens_operator_leader == 1)",
        "5m",
        "critical",
        "No athens-operator holds the Lease",
        "Proxies keep serving, but no change of an AthensProxy or a policy takes effect.",
    ),
    Alert(
        "AthensOperatorQueueStuck",
        "max(athens_operator_queue_oldest_seconds) > 300",
        "5m",
        "critical",
        "The queue of athens-operator is stuck",
        "An object has waited for five minutes; its log says which requests fail.",
    ),
    Alert(
        "AthensOperatorLeaseFlapping",
        "sum(changes(athens_operator_leader[30m])) > 6",
        "0m",
        "warning",
        "The Lease of athens-operator changes hands again and again",
        "Replicas cannot renew it in time: the API server is slow, or they have too little CPU.",
    ),
    Alert(
        "AthensOperatorPolicyLagging",
        "max(athens_operator_policy_lagging_pods) > 0",
        "5m",
        "critical",
        "Pods do not take up a changed policy",
        "The condition PolicyProgrammed of their AthensProxy names them.",
    ),
    Alert(
        "AthensOperatorFieldFights",
        "sum(increase(athens_operator_field_fights_total[30m])) > 0",
        "15m",
        "warning",
        "Somebody keeps changing what athens-operator writes",
        "Another controller writes the same fields; Events FieldFight on the AthensProxy name them.",
    ),
)


def alert_groups(*, namespace: str, name: str) -> list[Manifest]:
    """`spec.groups` of a PrometheusRule about one proxy; about all of them if both are "".

    Args:
        namespace: of the AthensProxy.
        name: of it, and of its Service.
    """
    proxy = f'namespace="{namespace}",job="{name}"' if name else ""
    object_ = f'namespace="{namespace}",name="{name}"' if name else ""
    rules = [_rule(alert, proxy=proxy, object_=object_) for alert in OF_A_PROXY]
    return [{"name": "athens-proxy", "rules": rules}]


def operator_alert_groups() -> list[Manifest]:
    """`spec.groups` about the operator itself."""
    return [{"name": "athens-operator", "rules": [_rule(alert, proxy="", object_="") for alert in OF_THE_OPERATOR]}]


def _rule(alert: Alert, *, proxy: str, object_: str) -> Manifest:
    return {
        "alert": alert.name,
        "expr": alert.expr.replace("$proxy", proxy).replace("$object", object_),
        "for": alert.after,
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.summary, "description": alert.description},
    }
