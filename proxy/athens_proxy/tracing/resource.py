"""Who sends the spans: Athens' service name, and what `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say; pure.

Source: https://opentelemetry.io/docs/specs/otel/resource/sdk/
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

SERVICE = "proxy"


def attributes(environ: Mapping[str, str], *, version: str, host: str) -> list[tuple[str, str]]:
    """Name and value of each attribute; what cannot be read of the variable is left out."""
    given = [item.partition("=") for item in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")]
    merged = {
        "service.name": SERVICE,
        "service.version": version,
        "host.name": host,
        **{name.strip(): unquote(value.strip()) for name, equals, value in given if equals and name.strip()},
    }
    if name := environ.get("OTEL_SERVICE_NAME", ""):
        merged["service.name"] = name
    return list(merged.items())
