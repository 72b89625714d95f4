"""The settings of traces: `TraceExporter`, `TraceExporterURL`, `TraceSamplingFraction`."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from athens_proxy.config.sections import Key, Section, Text, choice

DEFAULT_URL: Final = "http://localhost:4317"


def _fraction(value: object) -> object:
    """A number, also as a text: the environment has nothing else."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError as error:
        message = f'"{value}" is not a number; use a fraction from 0 to 1'
        raise PydanticCustomError("athens", "{message}", {"message": message}) from error


class TraceSection(Section):
    """Whether and where spans are sent."""

    exporter: Annotated[
        Text,
        Key("TraceExporter", "ATHENS_TRACE_EXPORTER"),
        choice("", "otlp", "jaeger", "datadog", "stackdriver", lower=True),
    ] = ""
    url: Annotated[Text, Key("TraceExporterURL", "ATHENS_TRACE_EXPORTER_URL")] = DEFAULT_URL
    fraction: Annotated[
        float,
        Key("TraceSamplingFraction", "ATHENS_TRACE_SAMPLING_FRACTION"),
        BeforeValidator(_fraction),
        Field(ge=0, le=1),
    ] = 1.0
