"""Where traces go and how, from Athens' settings and OpenTelemetry's own variables; pure.

`TraceExporterURL` decides between the two protocols of OTLP by what collectors do: port 4318 or a path means HTTP,
everything else gRPC, as in Athens. An empty URL leaves it to `OTEL_EXPORTER_OTLP_*`.

Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

DEFAULT_URL: Final = "http://localhost:4317"
TRACES_PATH: Final = "/v1/traces"
GRPC_PORT, HTTP_PORT = 4317, 4318
# Ports of protocols that older releases of Athens spoke to these servers; both take OTLP beside them.
OLD_PORTS: Final[Mapping[str, frozenset[int]]] = {
    "jaeger": frozenset({14268, 14250, 6831}),
    "datadog": frozenset({8126}),
}
CLOUD_TRACE: Final = "cloudtrace.googleapis.com:443"
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_PROJECT: Final = re.compile(r"[a-z0-9][a-z0-9.:-]{1,98}", re.ASCII)


class InvalidEndpoint(ValueError):
    """The setting names no collector; the message says what is allowed, without credentials."""


@dataclass(frozen=True, slots=True)
class OtlpEndpoint:
    """A collector that speaks OTLP.

    Attributes:
        is_http: OTLP over HTTP rather than gRPC.
        is_secure: TLS.
        host: name or address, an IPv6 one in brackets.
        port: of it.
        path: of the request over HTTP.
        headers: to be sent with every batch; they may hold a credential.
        ca_file: what to trust instead of the system's certificates, "" for these.
        remark: what was understood otherwise than written, for the log; "" for nothing.
    """

    is_http: bool
    is_secure: bool
    host: str
    port: int
    path: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca_file: str = ""
    remark: str = ""

    @property
    def url(self) -> str:
        """Its address without credentials."""
        if self.is_http:
            return f"http{'s' if self.is_secure else ''}://{self.host}:{self.port}{self.path}"
        return f"grpc{'s' if self.is_secure else ''}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class CloudEndpoint:
    """Google Cloud Trace.

    Attributes:
        project: id of the project, "" to take that of the credentials.
        target: host and port of the service.
        is_insecure: plain text without credentials, for a double of the service.
    """

    project: str
    target: str = CLOUD_TRACE
    is_insecure: bool = False


def otlp_endpoint(exporter: str, url: str, environ: Mapping[str, str]) -> OtlpEndpoint:
    """The collector of the exporters `otlp`, `jaeger` and `datadog`.

    Args:
        exporter: which of them.
        url: the setting; "" for OpenTelemetry's variables, and where they say nothing the default.
        environ: of the process.

    Raises:
        InvalidEndpoint: the URL or a variable cannot be understood.
    """
    headers = _headers(_variable(environ, "HEADERS"))
    ca_file = _variable(environ, "CERTIFICATE")
    found = _by_url(exporter, url) if url else _by_variables(environ)
    return replace(found, headers=(*_credentials(url), *headers), ca_file=ca_file)


def cloud_endpoint(url: str, environ: Mapping[str, str]) -> CloudEndpoint:
    """Google Cloud Trace: the setting is a project id, as in older releases of Athens, or empty.

    Raises:
        InvalidEndpoint: it is neither, nor the address of a double, `http://host:port/project`.
    """
    if "://" in url:
        parts = _split(url)
        project = parts.path.strip("/")
        if parts.scheme != "http" or not _PROJECT.fullmatch(project):
            raise InvalidEndpoint("use the id of a project; a double of the service is http://host:port/project")
        return CloudEndpoint(project, f"{_host(parts)}:{parts.port or 80}", is_insecure=True)
    if url and not _PROJECT.fullmatch(url):
        raise InvalidEndpoint("use the id of a Google Cloud project, or nothing for that of the credentials")
    return CloudEndpoint(url or environ.get("GOOGLE_CLOUD_PROJECT", ""))


def _by_url(exporter: str, url: str) -> OtlpEndpoint:
    parts = _split(url if "://" in url else f"http://{url}")
    is_secure = parts.scheme in ("https", "grpcs")
    port = parts.port
    if port in OLD_PORTS.get(exporter, ()):
        remark = f"{exporter} is sent OTLP at port {GRPC_PORT}, not what Athens once sent to port {port}"
        return OtlpEndpoint(False, is_secure, _host(parts), GRPC_PORT, remark=remark)
    path = parts.path.rstrip("/")
    if parts.scheme in ("grpc", "grpcs") or not (path or port == HTTP_PORT):
        return OtlpEndpoint(False, is_secure, _host(parts), port or (443 if is_secure else GRPC_PORT))
    return OtlpEndpoint(True, is_secure, _host(parts), port or (443 if is_secure else 80), path or TRACES_PATH)


def _by_variables(environ: Mapping[str, str]) -> OtlpEndpoint:
    protocol = _variable(environ, "PROTOCOL") or "grpc"
    if protocol not in ("grpc", "http/protobuf"):
        raise InvalidEndpoint(f'OTEL_EXPORTER_OTLP_PROTOCOL: "{protocol}" is not spoken; use grpc or http/protobuf')
    is_http = protocol != "grpc"
    own = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
    base = own or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    parts = _split(base or f"http://localhost:{HTTP_PORT if is_http else GRPC_PORT}")
    is_secure = parts.scheme in ("https", "grpcs")
    port = parts.port or (443 if is_secure else 80)
    if not is_http:
        return OtlpEndpoint(False, is_secure, _host(parts), port)
    path = parts.path if own else f"{parts.path.rstrip('/')}{TRACES_PATH}"
    return OtlpEndpoint(True, is_secure, _host(parts), port, path or "/")


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}", "") or environ.get(f"OTEL_EXPORTER_OTLP_{name}", "")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_sound = parts.scheme in ("http", "https", "grpc", "grpcs") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_sound = False
    if not is_sound or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidEndpoint("is no address of a collector; use http://host:4317 for gRPC, http://host:4318 for HTTP")
    return urlsplit(url)


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return f"[{host}]" if ":" in host else host


def _headers(text: str) -> tuple[tuple[str, str], ...]:
    pairs = [item.partition("=") for item in text.split(",") if item.strip()]
    headers = tuple((name.strip().lower(), unquote(value.strip())) for name, _, value in pairs)
    for name, value in headers:
        if not _HEADER_NAME.fullmatch(name) or not value.isprintable() or not value.isascii():
            raise InvalidEndpoint("OTEL_EXPORTER_OTLP_HEADERS: use name=value,name=value with percent escapes")
    return headers


def _credentials(url: str) -> tuple[tuple[str, str], ...]:
    """User and password of the address as a header, as every HTTP client understands them."""
    user_info, at, _ = urlsplit(url).netloc.rpartition("@") if "://" in url else ("", "", "")
    if not at:
        return ()
    return (("authorization", f"Basic {b64encode(unquote(user_info).encode()).decode()}"),)
