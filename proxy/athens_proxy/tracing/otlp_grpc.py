"""OTLP over gRPC, as Athens exports.

Source: https://opentelemetry.io/docs/specs/otlp/#otlpgrpc
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import grpc  # type: ignore[import-untyped]  # it ships no types

from athens_proxy.tracing import otlp
from athens_proxy.tracing.endpoints import OtlpEndpoint
from athens_proxy.tracing.grpc_calls import OPTIONS, GrpcCall
from athens_proxy.tracing.spans import FinishedSpan, KeptAnswer

_EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class OtlpOverGrpc:
    """A `Sender`.

    Args:
        endpoint: the collector.
        resource: who sends, as `otlp.resource_bytes` makes it.
        trusted: certificates in PEM instead of the library's own; b"" for these.
    """

    def __init__(self, endpoint: OtlpEndpoint, resource: bytes, *, trusted: bytes = b"") -> None:
        self.address = endpoint.url
        self._resource = resource
        self._kept_spans = otlp.KeptSpans()
        target = f"{endpoint.host}:{endpoint.port}"
        if endpoint.is_secure:
            channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(trusted or None), options=OPTIONS)
        else:
            channel = grpc.insecure_channel(target, options=OPTIONS)
        self._export = GrpcCall(channel, _EXPORT, metadata=endpoint.headers)

    def encoded(self, span: FinishedSpan) -> bytes:
        """See `Sender.encoded`."""
        return otlp.span_bytes(span)

    def encoded_kept(self, answers: Sequence[KeptAnswer]) -> list[bytes]:
        """See `Sender.encoded_kept`."""
        return self._kept_spans.encoded(answers)

    async def send(self, spans: list[bytes]) -> None:
        """See `Sender.send`."""
        await self._export(otlp.request_bytes(self._resource, spans))

    async def close(self) -> None:
        """See `Sender.close`."""
        self._export.close()
