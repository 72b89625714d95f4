"""The route table: from what a target names to the handler that answers it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import assert_never

from aiohttp import web

from athens_proxy.clients.authorization import NamedSecret, shown
from athens_proxy.errors import ModuleNotFound
from athens_proxy.page.origins import asked_by
from athens_proxy.web.external_store import ExternalStore
from athens_proxy.web.handlers import Handlers
from athens_proxy.web.targets import (
    ChecksumTarget,
    FileTarget,
    FixedTarget,
    LatestTarget,
    ListTarget,
    StoreTarget,
    Target,
)

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Routes:
    """Calls the handler of a target.

    Args:
        handlers: one method per endpoint.
        store: answers proxies that keep their modules here, None when that is off.
        more: handlers of further fixed targets, by path.
    """

    def __init__(
        self, handlers: Handlers, *, store: ExternalStore | None = None, more: Mapping[str, Handler] | None = None
    ) -> None:
        self._handlers = handlers
        self._store = store
        self._fixed: Mapping[str, Handler] = {
            "/": handlers.home,
            "/healthz": handlers.healthz,
            "/readyz": handlers.readyz,
            "/version": handlers.version,
            "/catalog": handlers.catalog,
            "/index": handlers.index,
            "/metrics": handlers.metrics,
            "/robots.txt": handlers.robots,
            "/-/policy": handlers.policy,
            "/-/config": handlers.config,
            **(more or {}),
        }

    async def answer(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        """The answer of the endpoint that the target names."""
        match target:
            case FileTarget():
                asked_by.set(_user_of(request))
                return await self._handlers.file(request, target)
            case ListTarget():
                return await self._handlers.list(request, target)
            case LatestTarget():
                return await self._handlers.latest(request, target)
            case ChecksumTarget():
                return await self._handlers.sumdb(request, target)
            case FixedTarget(path=path):
                return await self._at(path)(request)
            case StoreTarget(rest=rest) if self._store is not None:
                return await self._store.answer(request, rest)
            case StoreTarget():
                raise ModuleNotFound("not found: this proxy does not serve its store (Storage.Serve)")
            case _ as never:
                assert_never(never)

    def _at(self, path: str) -> Handler:
        if path not in self._fixed:
            raise ModuleNotFound(f"not found: {path} is off")
        return self._fixed[path]


def _user_of(request: web.BaseRequest) -> str:
    """The name that the client showed; whether that had to be proven is settled by now."""
    credentials = shown(request.headers.get("Authorization", ""))
    return credentials.name if isinstance(credentials, NamedSecret) else ""
