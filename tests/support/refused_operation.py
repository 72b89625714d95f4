"""Specs that the schema refuses in what keeps a proxy going: bounds, purges, prefetch, traces, another's events."""

from __future__ import annotations

from typing import Any

from support.refused_specs import Refusal, store

URL = "write an http or https URL without user name, quotes, spaces and braces"
LINE = "write one printable line without ${ and %{"


def purge(**changes: str) -> dict[str, Any]:
    return {"purge": [{"module": "example.com/x", "version": "v1.0.0", **changes}]}


def prefetch(module: str) -> dict[str, Any]:
    return {"prefetch": {"modules": [module]}}


def tracing(**changes: str) -> dict[str, Any]:
    return {"tracing": {"exporter": "otlp", "endpoint": "http://collector:4317", **changes}}


PROCESSES = "several processes share neither memory storage nor a memory index; use one, or another store and index"
OPERATION_RULES: list[Refusal] = [
    ({"processes": 2}, "spec.processes", PROCESSES),
    ({**store("external"), "processes": 2, "index": {"type": "memory"}}, "spec.processes", PROCESSES),
    (
        {"retention": {"dryRun": True}},
        "spec.retention",
        "set maxBytes, maxIdle or both; keep and dryRun bound nothing by themselves",
    ),
    *(
        ({"retention": {"maxBytes": size}}, "spec.retention.maxBytes", "write a size such as 200Gi")
        for size in ("0", "500m")
    ),
    *(
        ({"retention": {"maxIdle": idle}}, "spec.retention.maxIdle", "write a duration of at least 1h, such as 2160h")
        for idle in ("59m", "0h", "soon")
    ),
    (
        {"retention": {"maxIdle": "2h"}, "network": {"mode": "offline"}},
        "spec.retention",
        "with network.mode offline what is evicted cannot be fetched again; remove retention or change the mode",
    ),
    (purge(module="/x"), "spec.purge[0].module", "write the path of a module such as example.com/x"),
    (purge(version="v1"), "spec.purge[0].version", "write a full version such as v1.2.3"),
    (purge(reason="a\nb"), "spec.purge[0].reason", LINE),
    (
        {"purge": [*purge()["purge"], *purge(reason="b")["purge"]]},
        "spec.purge",
        "a version is listed twice; remove one of the entries",
    ),
    ({"prefetch": {}}, "spec.prefetch", "set goSumConfigMapRef, modules or both"),
    *(
        (prefetch(text), "spec.prefetch.modules[0]", "write a module and its version, such as example.com/x@v1.2.3")
        for text in ("example.com/x", "example.com/x@latest", "--url=http://a@v1.0.0", "a b@v1.0.0")
    ),
    ({"follow": {"url": "goproxy.example.com"}}, "spec.follow.url", URL),
    ({"tracing": {"exporter": "otlp"}}, "spec.tracing.endpoint", "name the collector in endpoint"),
    *(
        (
            tracing(samplingFraction=text),
            "spec.tracing.samplingFraction",
            'write a number from 0 to 1 in quotes, such as "0.1"',
        )
        for text in ("1.5", "-1", "x")
    ),
    ({"metrics": {"dashboard": {"folder": "a\nb"}}}, "spec.metrics.dashboard.folder", LINE),
]
