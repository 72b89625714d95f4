"""Where traces go: Athens' settings, those of its older releases, and OpenTelemetry's own variables."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from athens_proxy.tracing.endpoints import CloudEndpoint, InvalidEndpoint, cloud_endpoint, otlp_endpoint
from athens_proxy.tracing.resource import attributes


@pytest.mark.parametrize(
    ("exporter", "url", "wanted"),
    [
        ("otlp", "http://localhost:4317", "grpc://localhost:4317"),
        ("otlp", "http://collector.example.com", "grpc://collector.example.com:4317"),
        ("otlp", "collector:4317", "grpc://collector:4317"),
        ("otlp", "https://collector.example.com", "grpcs://collector.example.com:443"),
        ("otlp", "http://localhost:4318", "http://localhost:4318/v1/traces"),
        ("otlp", "localhost:4318", "http://localhost:4318/v1/traces"),
        ("otlp", "http://localhost:4318/", "http://localhost:4318/v1/traces"),
        ("otlp", "https://otlp.example.com/v1/traces", "https://otlp.example.com:443/v1/traces"),
        ("otlp", "https://otlp.example.com/tenant/otlp", "https://otlp.example.com:443/tenant/otlp"),
        ("otlp", "http://[2001:db8::1]:4317", "grpc://[2001:db8::1]:4317"),
        ("otlp", "grpcs://collector:4318", "grpcs://collector:4318"),
        ("jaeger", "http://jaeger:4317", "grpc://jaeger:4317"),
        ("jaeger", "http://localhost:14268", "grpc://localhost:4317"),
        ("jaeger", "http://jaeger:14268/api/traces", "grpc://jaeger:4317"),
        ("otlp", "http://localhost:14268", "grpc://localhost:14268"),
        ("datadog", "localhost:8126", "grpc://localhost:4317"),
        ("datadog", "http://agent:4318", "http://agent:4318/v1/traces"),
    ],
)
def test_the_address_says_how_the_collector_is_spoken_to(exporter: str, url: str, wanted: str) -> None:
    endpoint = otlp_endpoint(exporter, url, {})

    assert endpoint.url == wanted
    assert bool(endpoint.remark) == ("4317" in wanted and ("14268" in url or "8126" in url))


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, "grpc://localhost:4317"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317"}, "grpc://c:4317"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "http://localhost:4318/v1/traces"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://c/x/", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            "https://c:443/x/v1/traces",
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t:9/y",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            },
            "http://t:9/y",
        ),
    ],
)
def test_an_empty_address_leaves_it_to_opentelemetrys_variables(environ: Mapping[str, str], wanted: str) -> None:
    assert otlp_endpoint("otlp", "", environ).url == wanted


def test_credentials_go_into_headers_and_are_never_shown() -> None:
    environ = {"OTEL_EXPORTER_OTLP_HEADERS": "X-Key=hunter%202, api = k"}

    endpoint = otlp_endpoint("otlp", "http://user:pass@c:4318", environ)

    assert endpoint.headers == (("authorization", "Basic dXNlcjpwYXNz"), ("x-key", "hunter 2"), ("api", "k"))
    assert endpoint.url == "http://c:4318/v1/traces"
    assert "hunter" not in repr(endpoint)


@pytest.mark.parametrize(
    ("url", "environ"),
    [
        ("ftp://c", {}),
        ("http://", {}),
        ("http://c:99999", {}),
        ("http://c:0", {}),
        ("http://c d", {}),
        ("http://c\n", {}),
        ("http://[::1", {}),
        ("", {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}),
        ("", {"OTEL_EXPORTER_OTLP_ENDPOINT": "nowhere"}),
        ("http://c", {"OTEL_EXPORTER_OTLP_HEADERS": "no value, "}),
        ("http://c", {"OTEL_EXPORTER_OTLP_HEADERS": "a=b%0d%0ac"}),
    ],
)
def test_what_cannot_be_understood_is_said_at_the_start(url: str, environ: Mapping[str, str]) -> None:
    with pytest.raises(InvalidEndpoint):
        otlp_endpoint("otlp", url, environ)


@pytest.mark.parametrize(
    ("url", "environ", "wanted"),
    [
        ("my-project", {}, CloudEndpoint("my-project")),
        ("example.com:my-project", {}, CloudEndpoint("example.com:my-project")),
        ("", {"GOOGLE_CLOUD_PROJECT": "p-1"}, CloudEndpoint("p-1")),
        ("", {}, CloudEndpoint("")),
        ("http://localhost:8080/p-1", {}, CloudEndpoint("p-1", "localhost:8080", is_insecure=True)),
    ],
)
def test_google_cloud_is_addressed_by_project(url: str, environ: Mapping[str, str], wanted: CloudEndpoint) -> None:
    assert cloud_endpoint(url, environ) == wanted


@pytest.mark.parametrize("url", ["https://cloudtrace.googleapis.com/p", "http://x", "a b", "../x", "http://[::1"])
def test_what_is_no_project_is_refused(url: str) -> None:
    with pytest.raises(InvalidEndpoint):
        cloud_endpoint(url, {})


def test_spans_say_who_sends_them_as_athens_does_unless_told_otherwise() -> None:
    plain = dict(attributes({}, version="1.2.3", host="pod-1"))
    told = dict(
        attributes(
            {"OTEL_RESOURCE_ATTRIBUTES": "service.name=a,team=b%20c,broken", "OTEL_SERVICE_NAME": "d"},
            version="1.2.3",
            host="pod-1",
        )
    )

    assert plain == {"service.name": "proxy", "service.version": "1.2.3", "host.name": "pod-1"}
    assert told == {**plain, "service.name": "d", "team": "b c"}
