"""One method per endpoint: what was asked, one call, the response."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from athens_proxy.download.protocol import DownloadProtocol
from athens_proxy.errors import ModuleNotFound
from athens_proxy.index.index import Index
from athens_proxy.policy.enforced import EnforcedPolicy
from athens_proxy.storage.storage import CatalogPage, InvalidToken, Storage
from athens_proxy.web.home import HomePage
from athens_proxy.web.index import MAX_LIMIT, IndexQuery, index_body
from athens_proxy.web.parameters import InvalidParameter, integer, parameters
from athens_proxy.web.readiness import Readiness
from athens_proxy.web.responses import HTML, JSON, TEXT, Responses
from athens_proxy.web.targets import ChecksumTarget, FileTarget, LatestTarget, ListTarget

DEFAULT_PAGE_SIZE = 1000
MAX_PAGE_SIZE = 100_000
POLICY_DIGEST = "Athens-Policy-Digest"
DISABLE_FETCH = "Disable-Module-Fetch"
RenderMetrics = Callable[[], Awaitable[tuple[bytes, str]]]
_GO_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})


class ChecksumAnswer(Protocol):
    """An answer about checksums, ready to be sent."""

    @property
    def status(self) -> int:
        """HTTP status."""

    @property
    def content_type(self) -> str:
        """Content-Type header."""

    @property
    def body(self) -> bytes:
        """The whole body."""

    @property
    def cache_control(self) -> str:
        """Cache-Control header, "" to forbid storing."""


class ChecksumRelay(Protocol):
    """Answers what is asked of checksum databases."""

    async def handle(self, name_and_rest: str) -> ChecksumAnswer:
        """The answer to what follows `/sumdb/`, decoded; raises the errors of `errors.py`."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the handlers speak to.

    Attributes:
        modules: the guarded protocol.
        stored_modules: the same without leaving this process, for clients that want only what is stored.
        storage: for the catalogue.
        index: the feed of stored versions.
        checksums: the checksum databases.
        policy: what is enforced.
        readiness: whether requests should be sent here.
        render_metrics: the metrics as text, None when they are off.
        version: of this program.
        robots_file: served as `/robots.txt` if it exists.
        home: the page for people.
        settings: what `/-/config` shows: one entry per key, without secrets.
        store: what it says about who uses the store.
        clients: what it says about the credentials of clients.
        credentials: what it says about those for origins.
    """

    modules: DownloadProtocol
    stored_modules: DownloadProtocol
    storage: Storage
    index: Index
    checksums: ChecksumRelay
    policy: EnforcedPolicy
    readiness: Readiness
    render_metrics: RenderMetrics | None
    version: str
    robots_file: Path
    home: HomePage
    settings: Sequence[Mapping[str, Any]]
    store: Callable[[], Mapping[str, Any]]
    clients: Callable[[], Sequence[Mapping[str, Any]]]
    credentials: Callable[[], Sequence[Mapping[str, Any]]]


class Handlers:
    """The endpoints; every method answers GET and HEAD alike."""

    def __init__(self, services: Services, responses: Responses) -> None:
        self._services = services
        self._responses = responses

    async def list(self, request: web.BaseRequest, target: ListTarget) -> web.StreamResponse:
        """`$module/@v/list`."""
        versions = await self._modules(request, cached_only=target.cached_only).versions(target.path)
        return self._responses.changing("".join(f"{version}\n" for version in versions).encode(), TEXT)

    async def latest(self, request: web.BaseRequest, target: LatestTarget) -> web.StreamResponse:
        """`$module/@latest`."""
        revision = await self._modules(request, cached_only=target.cached_only).latest(target.path)
        return self._responses.changing(revision.encode(), JSON)

    async def file(self, request: web.BaseRequest, target: FileTarget) -> web.StreamResponse:
        """`$module/@v/$version.info`, `.mod` or `.zip`."""
        modules = self._modules(request, cached_only=target.cached_only)
        wanted = target.wanted
        if target.extension == "mod":
            return self._responses.immutable(request, await modules.mod(wanted), TEXT)
        if target.extension == "zip":
            async with await modules.zip(wanted) as stored:
                return await self._responses.zip(request, stored, str(wanted))
        if wanted.is_canonical:
            return self._responses.immutable(request, await modules.info(wanted), JSON)
        return self._responses.changing(await modules.info(await modules.resolve(wanted)), JSON)

    async def sumdb(self, request: web.BaseRequest, target: ChecksumTarget) -> web.StreamResponse:
        """`/sumdb/$name/…`."""
        answer = await self._services.checksums.handle(target.name_and_rest)
        headers = {"Content-Type": answer.content_type, "Cache-Control": answer.cache_control or "no-store"}
        return web.Response(body=answer.body, status=answer.status, headers=headers)

    async def home(self, request: web.BaseRequest) -> web.StreamResponse:
        """The page for people."""
        secure = request.secure or request.headers.get("X-Forwarded-Proto") == "https"
        page = await self._services.home.render(host=request.host, secure=secure)
        return web.Response(body=page.encode(), headers={"Content-Type": HTML, "Cache-Control": "no-cache"})

    async def healthz(self, request: web.BaseRequest) -> web.StreamResponse:
        """Alive: the event loop answers."""
        return web.Response(headers={"Content-Type": JSON})

    async def readyz(self, request: web.BaseRequest) -> web.StreamResponse:
        """Ready: the storage works and a policy is loaded; always says which."""
        headers = {POLICY_DIGEST: self._services.policy.loaded.digest}
        problem = await self._services.readiness.problem()
        if problem:
            return self._responses.line(503, f"not ready: {problem}", headers)
        return self._responses.line(200, "ok", headers)

    async def version(self, request: web.BaseRequest) -> web.StreamResponse:
        """The version of this program, in Athens' shape."""
        return _json({"version": self._services.version})

    async def catalog(self, request: web.BaseRequest) -> web.StreamResponse:
        """What is stored, in pages of Athens' shape."""
        try:
            asked = await parameters(request)
            limit = integer(asked, "pagesize", default=DEFAULT_PAGE_SIZE)
            limit = MAX_PAGE_SIZE if limit <= 0 else min(limit, MAX_PAGE_SIZE)
            page = await self._services.storage.catalog(token=asked.get("token", ""), limit=limit)
        except (InvalidParameter, InvalidToken) as error:
            return self._responses.line(400, f"bad request: {error}")
        return _json(_catalog_json(page))

    async def index(self, request: web.BaseRequest) -> web.StreamResponse:
        """The feed of stored versions, one JSON object a line, oldest first."""
        try:
            query = IndexQuery.parse(await parameters(request))
        except InvalidParameter as error:
            return self._responses.line(400, f"bad request: {error}")
        lines = await self._services.index.lines(since=query.since, limit=min(query.limit, MAX_LIMIT))
        return web.Response(body=index_body(lines), headers={"Content-Type": JSON, "Cache-Control": "no-store"})

    async def metrics(self, request: web.BaseRequest) -> web.StreamResponse:
        """Prometheus' text format."""
        if self._services.render_metrics is None:
            raise ModuleNotFound("not found: metrics are off (StatsExporter)")
        body, content_type = await self._services.render_metrics()
        return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    async def robots(self, request: web.BaseRequest) -> web.StreamResponse:
        """The robots file."""
        try:
            body = await asyncio.to_thread(self._services.robots_file.read_bytes)
        except OSError:
            raise ModuleNotFound("not found: no robots file is configured") from None
        return self._responses.changing(body, TEXT)

    async def policy(self, request: web.BaseRequest) -> web.StreamResponse:
        """What is enforced, and the last refused change."""
        return _json(policy_json(self._services.policy))

    async def config(self, request: web.BaseRequest) -> web.StreamResponse:
        """The settings in force, with where each came from, who uses the store, who may ask, and with what we ask."""
        services = self._services
        return _json(
            {
                "settings": services.settings,
                "store": services.store(),
                "clients": services.clients(),
                "credentials": services.credentials(),
            }
        )

    def _modules(self, request: web.BaseRequest, *, cached_only: bool) -> DownloadProtocol:
        wants_stored = cached_only or request.headers.get(DISABLE_FETCH, "").strip() in _GO_TRUE
        return self._services.stored_modules if wants_stored else self._services.modules


def policy_json(policy: EnforcedPolicy) -> dict[str, Any]:
    """The document of `/-/policy`; the operator reads it."""
    loaded, refusal = policy.loaded, policy.last_error
    return {
        "digest": loaded.digest,
        "loadedAt": loaded.loaded_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "source": loaded.source,
        "defaultMode": str(loaded.file.mode),
        "rules": [
            {
                "pattern": block.pattern.text,
                "mode": str(block.mode),
                "name": block.name,
                "reason": block.reason,
                "versions": block.versions.text if block.versions else "",
                "audit": block.audit,
                "hits": policy.hits(block),
            }
            for block in loaded.file.blocks
        ],
        "unused": sum(not policy.hits(block) for block in loaded.file.blocks),
        "lastError": refusal
        and {
            "message": refusal.message,
            "at": refusal.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "digest": refusal.digest,
        },
    }


def _catalog_json(page: CatalogPage) -> dict[str, Any]:
    modules = [{"module": entry.path.text, "version": entry.version} for entry in page.entries]
    return {"modules": modules, "next": page.next_token} if page.next_token else {"modules": modules}


def _json(value: object) -> web.Response:
    # As Go's encoder: compact, safe inside HTML, a newline at the end.
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for sign, escape in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(sign, escape)
    body = f"{text}\n".encode()
    return web.Response(body=body, headers={"Content-Type": JSON, "Cache-Control": "no-store"})
