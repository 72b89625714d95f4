"""Google Cloud Trace, with the machine's own credentials.

They are looked for when the first batch is sent, on a thread: the metadata server may take its time, and an instance
without credentials serves modules all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import grpc  # type: ignore[import-untyped]  # it ships no types

from athens_proxy.tracing import cloud_trace
from athens_proxy.tracing.endpoints import CloudEndpoint
from athens_proxy.tracing.exporter import NotSent
from athens_proxy.tracing.grpc_calls import OPTIONS, GrpcCall
from athens_proxy.tracing.spans import FinishedSpan, KeptAnswer

_WRITE: Final = "/google.devtools.cloudtrace.v2.TraceService/BatchWriteSpans"
_SCOPES: Final = ("https://www.googleapis.com/auth/trace.append",)


class CloudTrace:
    """A `Sender`.

    Args:
        endpoint: the project and the service.
    """

    def __init__(self, endpoint: CloudEndpoint) -> None:
        self.address = f"Google Cloud Trace ({endpoint.target})"
        self._endpoint = endpoint
        self._project = endpoint.project
        self._write: GrpcCall | None = None

    def encoded(self, span: FinishedSpan) -> bytes:
        """See `Sender.encoded`."""
        return cloud_trace.span_bytes(span)

    def encoded_kept(self, answers: Sequence[KeptAnswer]) -> list[bytes]:
        """See `Sender.encoded_kept`."""
        return [cloud_trace.span_bytes(kept.finished) for kept in answers]

    async def send(self, spans: list[bytes]) -> None:
        """See `Sender.send`."""
        if self._write is None:
            self._write = await asyncio.to_thread(self._opened)
        await self._write(cloud_trace.request_bytes(self._project, spans))

    async def close(self) -> None:
        """See `Sender.close`."""
        if self._write is not None:
            self._write.close()

    def _opened(self) -> GrpcCall:
        if self._endpoint.is_insecure:
            channel = grpc.insecure_channel(self._endpoint.target, options=OPTIONS)
        else:
            channel = self._authorized()
        metadata = (("x-goog-request-params", f"name=projects/{self._project}"),)
        return GrpcCall(channel, _WRITE, metadata=metadata)

    def _authorized(self) -> grpc.Channel:
        """A channel with the credentials of the machine; learns the project from them unless it is set.

        Raises:
            NotSent: there are none, or no project.
        """
        import google.auth  # takes a while, and only this exporter needs it
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.grpc import AuthMetadataPlugin
        from google.auth.transport.requests import Request

        try:
            credentials, project = google.auth.default(scopes=_SCOPES)
        except GoogleAuthError as error:
            raise NotSent(f"no credentials: {error}") from error
        self._project = self._project or project or ""
        if not self._project:
            raise NotSent("the credentials name no project; set TraceExporterURL to the id of one")
        tokens = grpc.metadata_call_credentials(AuthMetadataPlugin(credentials, Request()))  # type: ignore[no-untyped-call]
        both = grpc.composite_channel_credentials(grpc.ssl_channel_credentials(), tokens)
        return grpc.secure_channel(self._endpoint.target, both, options=OPTIONS)
