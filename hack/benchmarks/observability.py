"""Cached files with everything that tells what the proxy does, and without: logs, metrics, every request traced.

The collector is a thread of this program, on the core of the load, that takes what comes, or one that takes connections
and hangs.
"""

from __future__ import annotations

import os
import re
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from benchmarks.load import LOAD_CORE, Run, median, run
from benchmarks.peers import PACKAGES, Peer, Site
from benchmarks.report import Figure, Measured, Result, Sense
from benchmarks.rows import ROUNDS, SECONDS, figures_of
from benchmarks.sample_modules import write
from benchmarks.warm import SMALL
from demonstration.console import Say
from demonstration.errors import DemoError
from localcluster import packages

NAME: Final = "observability"
OF_OFF: Final = 0.6
OF_LIVE: Final = 1.0
_OFF: Final = {"ATHENS_STATS_EXPORTER": ""}
_TOLD: Final = {"ATHENS_LOG_LEVEL": "info", "ATHENS_LOG_FORMAT": "json", "ATHENS_STATS_EXPORTER": "prometheus"}
_EXPORTED: Final = re.compile(r'^athens_trace_spans_total\{result="exported"\} ([\d.e+]+)$', re.MULTILINE)


def measure(environ: Mapping[str, str], say: Say) -> list[Result]:
    """Requests per second and per CPU second of the four settings, medians of rounds in turns.

    Raises:
        DemoError: A server did not start or answered with errors, or no span arrived.
    """
    del environ
    packages.ensure(PACKAGES)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as servers:
        site = Site(Path(folder), Path(folder) / "modules")
        write(site.modules, [SMALL])
        upstream = servers.enter_context(site.nginx())
        live, hanging = servers.enter_context(_collector()), servers.enter_context(_silent())
        settings = {
            "off": _OFF,
            "logs and metrics": _TOLD,
            "traced": {**_TOLD, **_traced(live)},
            "traced, collector hangs": {**_TOLD, **_traced(hanging)},
        }
        peers = [
            servers.enter_context(site.ours(upstream.url, settings=chosen, kind=f" {kind}"))
            for kind, chosen in settings.items()
        ]
        for peer in peers:
            peer.fill([SMALL])
        runs = _in_turns(peers, say)
        if not _EXPORTED.search(peers[2].ask("/metrics").decode()):
            raise DemoError("no span arrived at the collector")
        return _results(peers, runs)


def _in_turns(peers: list[Peer], say: Say) -> list[Run]:
    seen: list[list[Run]] = [[] for _ in peers]
    for number in range(ROUNDS):
        for peer, runs in zip(peers, seen, strict=True):
            say.passing(f"round {number + 1} of {ROUNDS}: {peer.name}")
            runs.append(run(peer, SMALL.target("mod"), seconds=SECONDS))
    return [median(runs) for runs in seen]


def _results(peers: list[Peer], runs: list[Run]) -> list[Result]:
    off, _, live, hanging = runs
    what = "a cached .mod"
    bars = [("traced to off", live, off, OF_OFF), ("collector hanging to live", hanging, live, OF_LIVE)]
    return [
        *(
            Measured(
                NAME, f"requests/s for {what}, {title}", ran.requests_per_s / other.requests_per_s, Sense.AT_LEAST, bar
            )
            for title, ran, other, bar in bars
        ),
        *(Figure(NAME, what, peer.name, figures_of(ran, peer)) for peer, ran in zip(peers, runs, strict=True)),
    ]


def _traced(url: str) -> dict[str, str]:
    return {"ATHENS_TRACE_EXPORTER": "otlp", "ATHENS_TRACE_EXPORTER_URL": url, "ATHENS_TRACE_SAMPLING_FRACTION": "1"}


@contextmanager
def _collector() -> Iterator[str]:
    """A collector that takes everything; its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True

    def serve() -> None:
        os.sched_setaffinity(threading.get_native_id(), {int(LOAD_CORE)})  # and of the threads that it starts
        server.serve_forever()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def _silent() -> Iterator[str]:
    """A collector that never says a word; its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1/traces"
