"""Receivers of traces on loopback: OTLP over HTTP and gRPC, Google Cloud Trace, and ones that are of no use.

What arrives is decoded by the libraries of those who define the formats.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import grpc  # type: ignore[import-untyped]
from google.cloud.trace_v2.types import BatchWriteSpansRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from support.authority import Authority

DEADLINE_S: Final = 20.0
_OTLP: Final = "opentelemetry.proto.collector.trace.v1.TraceService"
_CLOUD: Final = "google.devtools.cloudtrace.v2.TraceService"


@dataclass(frozen=True)
class Received:
    """One span.

    Attributes:
        trace_id: in hexadecimal digits, as every id here.
        span_id: of it.
        parent_id: of the span that it is a part of, "" for none.
        name: of the work.
        attributes: texts and numbers.
        error: "" if the work succeeded.
        service: who sent it.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    attributes: Mapping[str, object]
    error: str
    service: str


@dataclass
class Receiver:
    """A running receiver.

    Attributes:
        url: the setting that names it.
        spans: what has arrived.
        headers: of the last request.
    """

    url: str = ""
    spans: list[Received] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, spans: list[Received], headers: Mapping[str, str]) -> None:
        """More has arrived."""
        with self._changed:
            self.spans += spans
            self.headers = headers
            self._changed.notify_all()

    def wait_for(self, wanted: Callable[[list[Received]], bool]) -> list[Received]:
        """All spans, once they are what is wanted.

        Raises:
            AssertionError: they are not in time.
        """
        with self._changed:
            arrived = self._changed.wait_for(lambda: wanted(self.spans), DEADLINE_S)
            assert arrived, [span.name for span in self.spans]
            return list(self.spans)


@contextmanager
def otlp_over_http(status: int = 200, *, authority: Authority | None = None) -> Iterator[Receiver]:
    """OTLP over HTTP, over TLS with an authority; every batch is answered with this status."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/x-protobuf"
            receiver.take(_of_otlp(body), {name.lower(): value for name, value in self.headers.items()})
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if authority:
        server.socket = authority.serving().wrap_socket(server.socket, server_side=True)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    receiver.url = f"http{'s' if authority else ''}://127.0.0.1:{server.server_port}/v1/traces"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


@contextmanager
def otlp_over_grpc(*, authority: Authority | None = None) -> Iterator[Receiver]:
    """OTLP over gRPC, over TLS with an authority."""
    with _grpc(_OTLP, "Export", _of_otlp, authority) as (receiver, port):
        receiver.url = f"http{'s' if authority else ''}://127.0.0.1:{port}"
        yield receiver


@contextmanager
def cloud_trace(project: str) -> Iterator[Receiver]:
    """The service of Google Cloud Trace, for one project and without credentials."""
    with _grpc(_CLOUD, "BatchWriteSpans", _of_cloud_trace) as (receiver, port):
        receiver.url = f"http://127.0.0.1:{port}/{project}"
        yield receiver


@contextmanager
def hanging() -> Iterator[Receiver]:
    """Takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield Receiver(f"http://127.0.0.1:{listener.getsockname()[1]}")


@contextmanager
def _grpc(
    service: str, method: str, decode: Callable[[bytes], list[Received]], authority: Authority | None = None
) -> Iterator[tuple[Receiver, int]]:
    receiver = Receiver()

    def call(request: bytes, context: Any) -> bytes:
        receiver.take(decode(request), dict(context.invocation_metadata()))
        return b""

    handlers = {method: grpc.unary_unary_rpc_method_handler(call)}
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    if authority:
        pair = (authority.key_file.read_bytes(), authority.cert_file.read_bytes())
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield receiver, port
    finally:
        server.stop(grace=None).wait()


def _of_otlp(data: bytes) -> list[Received]:
    request = ExportTraceServiceRequest.FromString(data)
    return [
        Received(
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.name,
            _attributes(span.attributes),
            span.status.message,
            str(_attributes(sent.resource.attributes)["service.name"]),
        )
        for sent in request.resource_spans
        for scope in sent.scope_spans
        for span in scope.spans
    ]


def _attributes(pairs: Any) -> dict[str, object]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def _of_cloud_trace(data: bytes) -> list[Received]:
    request = BatchWriteSpansRequest.deserialize(data)
    return [
        Received(
            span.name.split("/")[3],
            span.span_id,
            span.parent_span_id,
            span.display_name.value,
            {
                name: value.int_value or value.string_value.value
                for name, value in span.attributes.attribute_map.items()
            },
            span.status.message,
            request.name,
        )
        for span in request.spans
    ]
