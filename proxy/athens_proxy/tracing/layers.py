"""The wrappers that put a span around each layer: request, policy, store, stash, lock, fetch, upstream, save.

They are built in only where traces are exported, so that nobody else pays for them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import SimpleNamespace
from typing import Any, Protocol, cast

import aiohttp
from aiohttp import web

from athens_policy.decide import Decision, verdict_of
from athens_proxy.download.rules import Rules
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.stash.stasher import Stasher
from athens_proxy.storage.storage import FetchedModule, Storage, StoredZip
from athens_proxy.tracing.context import TRACEPARENT, TRACESTATE, context_of
from athens_proxy.tracing.spans import REQUEST_SPAN, Kind
from athens_proxy.tracing.tracer import Tracer
from athens_proxy.upstream.fetcher import Fetcher
from athens_proxy.web.middleware import noted_lookup
from athens_proxy.web.responses import REQUEST_ID_KEY


class _Gate(Protocol):
    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to one request."""


class TracedGate:
    """The span of a whole request, a part of the caller's where that says so.

    Args:
        gate: answers.
        tracer: see `Tracer`.
    """

    def __init__(self, gate: _Gate, tracer: Tracer) -> None:
        self._gate = gate
        self._tracer = tracer

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to one request."""
        headers = request.headers
        parents = headers.getall(TRACEPARENT, [])
        state = ",".join(headers.getall(TRACESTATE, []))
        parent = context_of(parents[0], state) if len(parents) == 1 else None
        with self._tracer.span(REQUEST_SPAN, kind=Kind.SERVER, parent=parent) as span:
            span.set(
                http__request__method=request.method,
                url__path=request.raw_path.partition("?")[0],
                client__address=request.remote or "",
                user_agent__original=headers.get("User-Agent", ""),
            )
            response = await self._gate.handle(request)
            span.set(http__response__status_code=response.status, athens__request_id=request.get(REQUEST_ID_KEY, ""))
            if cache := noted_lookup():
                span.set(athens__cache=cache)
            if response.status >= 500:
                span.error = f"answered {response.status}"
        return response


class _TracedRules:
    def __init__(self, rules: Rules, tracer: Tracer) -> None:
        self._rules = rules
        self._tracer = tracer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rules, name)

    async def about(self, wanted: ModuleVersion) -> Decision:
        with self._tracer.span("policy", attributes={"athens.version": str(wanted)}) as span:
            decision = await self._rules.about(wanted)
            rule = decision.block.name or decision.block.pattern.text if decision.block else "default"
            span.set(athens__rule=rule, athens__verdict=str(verdict_of(decision.effect)))
        return decision


def traced_rules(rules: Rules, tracer: Tracer) -> Rules:
    """The same rules, with a span around each decision about a version; everything else is passed on."""
    return cast(Rules, _TracedRules(rules, tracer))


class _TracedStorage:
    def __init__(self, storage: Storage, tracer: Tracer) -> None:
        self._storage = storage
        self._tracer = tracer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    async def info(self, wanted: ModuleVersion) -> bytes:
        with self._tracer.span("storage.info", attributes={"athens.version": str(wanted)}):
            return await self._storage.info(wanted)

    async def mod(self, wanted: ModuleVersion) -> bytes:
        with self._tracer.span("storage.mod", attributes={"athens.version": str(wanted)}):
            return await self._storage.mod(wanted)

    async def open_zip(self, wanted: ModuleVersion) -> StoredZip:
        with self._tracer.span("storage.zip", attributes={"athens.version": str(wanted)}):
            return await self._storage.open_zip(wanted)

    async def versions(self, path: ModulePath) -> list[str]:
        with self._tracer.span("storage.versions", attributes={"athens.module": path.text}):
            return await self._storage.versions(path)

    async def save(self, fetched: FetchedModule) -> None:
        with self._tracer.span("storage.save", attributes={"athens.version": str(fetched.wanted)}) as span:
            span.set(athens__zip_bytes=fetched.zip_size_bytes)
            await self._storage.save(fetched)


def traced_storage(storage: Storage, tracer: Tracer) -> Storage:
    """The same store, with a span around each access to a version; everything else is passed on."""
    return cast(Storage, _TracedStorage(storage, tracer))


class TracedStasher:
    """A span around a stash layer.

    Args:
        inner: the layer.
        tracer: see `Tracer`.
        name: of the span.
    """

    def __init__(self, inner: Stasher, *, tracer: Tracer, name: str) -> None:
        self._inner = inner
        self._tracer = tracer
        self._name = name

    async def stash(self, wanted: ModuleVersion, *, upstream: str = "") -> ModuleVersion:
        """See `Stasher.stash`."""
        with self._tracer.span(self._name, attributes={"athens.version": str(wanted)}):
            return await self._inner.stash(wanted, upstream=upstream)


class TracedFetcher:
    """A span around each fetch, until its files are there; saving them is not part of it.

    Args:
        inner: fetches.
        tracer: see `Tracer`.
    """

    def __init__(self, inner: Fetcher, tracer: Tracer) -> None:
        self._inner = inner
        self._tracer = tracer

    def fetch(self, wanted: ModuleVersion, *, upstream: str = "") -> AbstractAsyncContextManager[FetchedModule]:
        """See `Fetcher.fetch`."""
        return self._fetched(wanted, upstream)

    @asynccontextmanager
    async def _fetched(self, wanted: ModuleVersion, upstream: str) -> AsyncIterator[FetchedModule]:
        fetching = self._inner.fetch(wanted, upstream=upstream)
        with self._tracer.span("fetch", attributes={"athens.version": str(wanted)}):
            fetched = await fetching.__aenter__()
        try:
            yield fetched
        except BaseException as error:
            if not await fetching.__aexit__(type(error), error, error.__traceback__):
                raise
        else:
            await fetching.__aexit__(None, None, None)


def client_spans(tracer: Tracer) -> aiohttp.TraceConfig:
    """A span for each request to an upstream, until its answer begins; the upstream is told that it is a part of it.

    Baggage is not passed on: what callers put there is none of an upstream's business.
    """

    async def begin(_: aiohttp.ClientSession, held: SimpleNamespace, params: aiohttp.TraceRequestStartParams) -> None:
        url = params.url
        span = tracer.begun(f"HTTP {params.method}", kind=Kind.CLIENT)
        span.set(
            http__request__method=params.method,
            url__scheme=url.scheme,
            server__address=url.host or "",
            server__port=url.port or 0,
            url__path=url.raw_path,
        )
        params.headers[TRACEPARENT] = span.context.traceparent
        if span.context.state:
            params.headers[TRACESTATE] = span.context.state
        held.span = span

    async def end(_: aiohttp.ClientSession, held: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
        held.span.set(http__response__status_code=params.response.status)
        tracer.end(held.span)

    async def failed(
        _: aiohttp.ClientSession, held: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams
    ) -> None:
        held.span.error = type(params.exception).__name__
        tracer.end(held.span)

    config = aiohttp.TraceConfig()
    config.on_request_start.append(begin)
    config.on_request_end.append(end)
    config.on_request_exception.append(failed)
    return config
