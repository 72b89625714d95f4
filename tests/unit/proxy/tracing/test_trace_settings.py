"""The settings of traces, as they are read and refused."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from athens_proxy.config.load import ConfigError, ConfigFile, load
from athens_proxy.config.trace_section import TraceSection


def traces(environ: Mapping[str, str], toml: str = "") -> TraceSection:
    return load(["-config_file=c.toml"], environ, lambda _: ConfigFile(toml, 0o644)).traces


def test_nothing_is_traced_unless_asked_for() -> None:
    assert traces({}) == TraceSection(exporter="", url="http://localhost:4317", fraction=1.0)


@pytest.mark.parametrize("fraction", ["0.25", '"0.25"'])
def test_a_file_of_athens_is_understood(fraction: str) -> None:
    toml = f'TraceExporter = "Jaeger"\nTraceExporterURL = "http://j:14268"\nTraceSamplingFraction = {fraction}\n'

    assert traces({}, toml) == TraceSection(exporter="jaeger", url="http://j:14268", fraction=0.25)


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        (
            {"ATHENS_TRACE_EXPORTER": "zipkin"},
            'ATHENS_TRACE_EXPORTER: "zipkin" is not allowed; use one of "", otlp, jaeger, datadog, stackdriver',
        ),
        (
            {"ATHENS_TRACE_SAMPLING_FRACTION": "1.5"},
            'ATHENS_TRACE_SAMPLING_FRACTION: "1.5" is not allowed; use 1 or less',
        ),
        (
            {"ATHENS_TRACE_SAMPLING_FRACTION": "-1"},
            'ATHENS_TRACE_SAMPLING_FRACTION: "-1" is not allowed; use 0 or more',
        ),
        ({"ATHENS_TRACE_SAMPLING_FRACTION": "nan"}, 'ATHENS_TRACE_SAMPLING_FRACTION: "nan" is not allowed'),
        ({"ATHENS_TRACE_SAMPLING_FRACTION": "half"}, 'ATHENS_TRACE_SAMPLING_FRACTION: "half" is not a number'),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(environ: Mapping[str, str], line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        traces(environ)

    (problem,) = refused.value.problems
    assert line in problem
