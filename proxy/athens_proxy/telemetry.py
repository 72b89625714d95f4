"""The wiring of traces and of the metrics of layers: what each layer is wrapped in, if in anything.

Where no exporter is set nothing of `tracing` is imported and nothing is wrapped.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from athens_proxy.config.sections import Config
from athens_proxy.download.rules import Rules
from athens_proxy.errors import CannotStart
from athens_proxy.layer_metrics import LayerMetrics
from athens_proxy.metrics import Metrics
from athens_proxy.observability import correlate
from athens_proxy.stash.stasher import Stasher
from athens_proxy.storage.storage import Storage
from athens_proxy.upstream.fetcher import Fetcher
from athens_proxy.upstream.outbound import OutboundProxies
from athens_proxy.volume_metrics import VolumeMetrics
from athens_proxy.web.hot_path import OnTrace
from athens_proxy.web.top import Gate, Top

if TYPE_CHECKING:
    from athens_proxy.tracing.endpoints import CloudEndpoint, OtlpEndpoint
    from athens_proxy.tracing.exporter import Sender

_LOG = logging.getLogger(__name__)
Layer = Callable[[Stasher], Stasher]


class Telemetry:
    """What the layers of a proxy without traces are wrapped in: nothing.

    Args:
        metrics: told what upstreams and locks do.
        top: told which modules are asked for.
    """

    clients: Sequence[aiohttp.TraceConfig] = ()
    kept_answer: OnTrace | None = None

    def __init__(self, metrics: LayerMetrics, top: Top) -> None:
        self.metrics = metrics
        self.top = top

    def gate(self, gate: Gate) -> Gate:
        """The entry of every request."""
        return self.top.gate(gate)

    def rules(self, rules: Rules) -> Rules:
        """The policy."""
        return rules

    def storage(self, storage: Storage) -> Storage:
        """The store."""
        return storage

    def fetcher(self, fetcher: Fetcher) -> Fetcher:
        """What brings versions."""
        return fetcher

    def stash(self, name: str) -> Layer:
        """A stash layer of its own that is a span of this name."""
        del name
        return _unchanged

    def upstream(self, upstream: str, what: str) -> AbstractContextManager[object]:
        """Around each question to an upstream."""
        del upstream, what
        return nullcontext()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Around each wait for a lock."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self.metrics.waited(time.monotonic() - begin)


@asynccontextmanager
async def telemetry(
    config: Config, environ: Mapping[str, str], metrics: Metrics, *, version: str
) -> AsyncIterator[Telemetry]:
    """The wrappers of the settings; what waits to be exported is sent when the context ends.

    Raises:
        CannotStart: the settings of traces cannot be used.
    """
    layers = LayerMetrics()
    metrics.register(layers)
    if config.storage.type == "disk" and config.storage.disk_root:
        metrics.register(VolumeMetrics(Path(config.storage.disk_root)))
    top = Top(prefix=config.server.path_prefix)
    if not config.traces.exporter:
        yield Telemetry(layers, top)
        return
    exporter_key = config.origins["TraceExporter"].name
    _require_packages(exporter_key)
    from athens_proxy.tracing.exporter import Exporter
    from athens_proxy.tracing.kept_answers import KeptAnswers
    from athens_proxy.tracing.tracer import Sampler, Tracer, current
    from athens_proxy.tracing.wrapping import Traced

    exporter = Exporter(_sender(config, environ, version), on_spans=layers.spans)
    sampler = Sampler(config.traces.fraction, always=config.log.go_env == "development")
    tracer = Tracer(sampler, emit=exporter.add, is_full=exporter.is_full, on_dropped=exporter.dropped)
    running = asyncio.create_task(exporter.run(), name="traces")

    def trace_id() -> str:
        context = current()
        return context.trace_id.hex() if context and context.is_sampled else ""

    correlate(trace_id)
    try:
        yield Traced(layers, top, tracer, KeptAnswers(sampler, exporter))
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await exporter.close()


def _unchanged(inner: Stasher) -> Stasher:
    return inner


def _require_packages(key: str) -> None:
    if missing := [name for name in ("grpc", "google.auth") if not _is_installed(name)]:
        raise CannotStart(f"{key}: needs {', '.join(missing)}; install athens-operator[tracing]")


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # of the package that it is in
        return False


def _sender(config: Config, environ: Mapping[str, str], version: str) -> Sender:
    from athens_proxy.tracing.endpoints import InvalidEndpoint, cloud_endpoint, otlp_endpoint

    settings, origin = config.traces, config.origins["TraceExporterURL"]
    try:
        if settings.exporter == "stackdriver":
            return _cloud(cloud_endpoint("" if origin.source == "default" else settings.url, environ))
        return _otlp(otlp_endpoint(settings.exporter, settings.url, environ), environ, version)
    except InvalidEndpoint as error:
        raise CannotStart(f"{origin.name}: {error}") from error


def _cloud(endpoint: CloudEndpoint) -> Sender:
    from athens_proxy.tracing.cloud_channel import CloudTrace

    return CloudTrace(endpoint)


def _otlp(endpoint: OtlpEndpoint, environ: Mapping[str, str], version: str) -> Sender:
    from athens_proxy.tracing import otlp, resource

    if endpoint.remark:
        _LOG.warning(endpoint.remark)
    sent_by = otlp.resource_bytes(resource.attributes(environ, version=version, host=socket.gethostname()))
    try:
        if endpoint.is_http:
            from athens_proxy.tracing.otlp_http import OtlpOverHttp

            tls = ssl.create_default_context(cafile=endpoint.ca_file or None) if endpoint.is_secure else None
            return OtlpOverHttp(endpoint, sent_by, tls=tls, proxy=_outbound_proxy(endpoint, environ))
        from athens_proxy.tracing.otlp_grpc import OtlpOverGrpc

        return OtlpOverGrpc(endpoint, sent_by, trusted=_trusted(endpoint, environ))
    except OSError as error:
        raise CannotStart(f"OTEL_EXPORTER_OTLP_CERTIFICATE: {endpoint.ca_file} cannot be read: {error}") from error


def _outbound_proxy(endpoint: OtlpEndpoint, environ: Mapping[str, str]) -> URL | None:
    """The way to a collector that is not in this network; gRPC finds its own by the same variables."""
    try:
        return OutboundProxies.of(environ).for_url(URL(endpoint.url))
    except ValueError as error:
        raise CannotStart(str(error)) from error


def _trusted(endpoint: OtlpEndpoint, environ: Mapping[str, str]) -> bytes:
    """What gRPC is to trust: it does not look where everything else here does."""
    file = endpoint.ca_file or environ.get("SSL_CERT_FILE", "")
    return Path(file).read_bytes() if file and endpoint.is_secure else b""
