"""Jaeger with everything in one process: where its OTLP receiver and its query API are."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcluster.binaries import ensure
from support.ports import free_port
from support.processes import RunningProcess, accepts_connections, inherited, started

READY_DEADLINE_S = 60.0
TRACE_DEADLINE_S = 30.0


@dataclass(frozen=True)
class Jaeger:
    """A running Jaeger.

    Attributes:
        url: what a proxy exports to.
        query: address of its query API.
        process: the process.
    """

    url: str
    query: str
    process: RunningProcess

    def trace(self, trace_id: str, *, at_least: int) -> list[dict[str, Any]]:
        """The spans of a trace as the query API tells them, once so many are there."""
        found: list[dict[str, Any]] = []

        def is_there() -> bool:
            found[:] = self._asked(trace_id)
            return len(found) >= at_least

        self.process.wait_until(is_there, what=f"in possession of trace {trace_id}", deadline_s=TRACE_DEADLINE_S)
        return found

    def _asked(self, trace_id: str) -> list[dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"{self.query}/api/traces/{trace_id}", timeout=10) as answer:
                traces = json.load(answer)["data"]
        except OSError:  # 404 until it knows the trace
            return []
        return [span for trace in traces for span in trace["spans"]]


@contextmanager
def running(folder: Path) -> Iterator[Jaeger]:
    """Jaeger with its memory store, ready to receive; stopped when the context ends."""
    otlp, query = free_port(), free_port()
    elsewhere = [
        "--collector.grpc-server.host-port=127.0.0.1:0",
        "--collector.http-server.host-port=127.0.0.1:0",
        "--collector.otlp.http.host-port=127.0.0.1:0",
        "--query.grpc-server.host-port=127.0.0.1:0",
        "--admin.http.host-port=127.0.0.1:0",
        "--http-server.host-port=127.0.0.1:0",
        "--processor.jaeger-binary.server-host-port=127.0.0.1:0",
        "--processor.jaeger-compact.server-host-port=127.0.0.1:0",
        "--processor.zipkin-compact.server-host-port=127.0.0.1:0",
    ]
    argv: list[str | Path] = [
        ensure("jaeger"),
        f"--collector.otlp.grpc.host-port=127.0.0.1:{otlp}",
        f"--query.http-server.host-port=127.0.0.1:{query}",
        *elsewhere,
    ]
    with started("jaeger", argv, env=inherited("PATH"), cwd=folder, log=folder / "jaeger.log") as process:
        process.wait_until(
            lambda: accepts_connections(otlp) and accepts_connections(query),
            what="listening",
            deadline_s=READY_DEADLINE_S,
        )
        yield Jaeger(f"http://127.0.0.1:{otlp}", f"http://127.0.0.1:{query}", process)
