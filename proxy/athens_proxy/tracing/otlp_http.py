"""OTLP over HTTP: one POST of protobuf for each batch.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Final

import aiohttp
from yarl import URL

from athens_proxy.tracing import otlp
from athens_proxy.tracing.endpoints import OtlpEndpoint
from athens_proxy.tracing.exporter import NotSent
from athens_proxy.tracing.spans import FinishedSpan, KeptAnswer
from athens_proxy.upstream.answers import words_of

_TRY_AGAIN: Final = frozenset({408, 429, 502, 503, 504})
_SHOWN_BYTES: Final = 200


class OtlpOverHttp:
    """A `Sender`.

    Args:
        endpoint: the collector.
        resource: who sends, as `otlp.resource_bytes` makes it.
        tls: what to trust; None for plain text.
        proxy: the forward proxy on the way, None for a direct connection.
    """

    def __init__(
        self, endpoint: OtlpEndpoint, resource: bytes, *, tls: ssl.SSLContext | None, proxy: URL | None
    ) -> None:
        self.address = endpoint.url
        self._proxy = proxy
        self._resource = resource
        self._kept_spans = otlp.KeptSpans()
        headers = {**dict(endpoint.headers), "Content-Type": "application/x-protobuf", "User-Agent": "athens-proxy"}
        connector = aiohttp.TCPConnector(limit=1, ssl=tls or True)
        self._session = aiohttp.ClientSession(
            connector=connector, headers=headers, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )

    def encoded(self, span: FinishedSpan) -> bytes:
        """See `Sender.encoded`."""
        return otlp.span_bytes(span)

    def encoded_kept(self, answers: Sequence[KeptAnswer]) -> list[bytes]:
        """See `Sender.encoded_kept`."""
        return self._kept_spans.encoded(answers)

    async def send(self, spans: list[bytes]) -> None:
        """See `Sender.send`; redirects are refusals, for credentials may be sent along."""
        body = otlp.request_bytes(self._resource, spans)
        try:
            async with self._session.post(self.address, data=body, allow_redirects=False, proxy=self._proxy) as answer:
                said = await answer.content.read(_SHOWN_BYTES)
        except (aiohttp.ClientError, OSError) as error:
            raise NotSent(words_of(error)) from error
        if answer.status != 200:
            why = f"it answered {answer.status} {said.decode('utf-8', 'replace')}".strip()
            raise NotSent(why, may_try_again=answer.status in _TRY_AGAIN)

    async def close(self) -> None:
        """See `Sender.close`."""
        await self._session.close()
