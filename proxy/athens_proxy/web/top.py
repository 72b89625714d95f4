"""`/-/top`: which modules are asked for and missed most, since no metric may name them.

Names come from clients, so memory is bounded whatever they ask for, and only what can be a module path is counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from aiohttp import web

from athens_proxy.errors import ProxyError
from athens_proxy.space_saving import SpaceSaving
from athens_proxy.web.middleware import noted_lookup
from athens_proxy.web.parameters import InvalidParameter, integer, parameters
from athens_proxy.web.responses import JSON, Responses
from athens_proxy.web.routes import Handler
from athens_proxy.web.targets import FileTarget, LatestTarget, ListTarget, target

CAPACITY: Final = 1000
SHOWN: Final = 20
_HOT_TARGETS: Final = 1000


class Gate(Protocol):
    """The entry of every request."""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to one request."""


class Top:
    """Counts modules.

    Args:
        prefix: where everything is mounted.
        now: the time of day.
    """

    def __init__(self, *, prefix: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._prefix = prefix
        self._since = now()
        self._asked, self._missed = SpaceSaving(CAPACITY), SpaceSaving(CAPACITY)
        self.hot: dict[str, int] = {}
        """How often each kept answer was given since it was last looked at, by target; the hot path counts here."""

    def asked(self, raw_target: str, *, is_missed: bool = False, times: int = 1) -> None:
        """A target was asked for; one that names no module counts for nothing."""
        module = self._module(raw_target)
        if module:
            self._asked.add(module, times)
            if is_missed:
                self._missed.add(module, times)

    def gate(self, gate: Gate) -> Gate:
        """The same entry, counted."""
        return _Counted(gate, self)

    def drain(self) -> None:
        """Count what the hot path answered."""
        given = dict(self.hot)
        self.hot.clear()
        for raw_target, times in given.items():
            self.asked(raw_target, times=times)

    def in_use(self) -> list[str]:
        """Paths of the modules asked for most, at most `CAPACITY` of them."""
        self.drain()
        return [one.name for one in self._asked.top(CAPACITY)]

    def described(self, at_most: int) -> Mapping[str, Any]:
        """The document of `/-/top`."""
        self.drain()
        return {
            "since": self._since.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "asked": _described(self._asked, at_most),
            "missed": _described(self._missed, at_most),
        }

    def routes(self, responses: Responses) -> dict[str, Handler]:
        """The handler by path."""

        async def top(request: web.BaseRequest) -> web.StreamResponse:
            try:
                at_most = integer(await parameters(request), "n", default=SHOWN)
            except InvalidParameter as error:
                return responses.line(400, f"bad request: {error}")
            body = json.dumps(self.described(max(1, min(at_most, CAPACITY)))) + "\n"
            return web.Response(body=body.encode(), headers={"Content-Type": JSON, "Cache-Control": "no-store"})

        return {"/-/top": top}

    def _module(self, raw_target: str) -> str:
        try:
            named = target(raw_target, prefix=self._prefix)
        except ProxyError:
            return ""
        match named:
            case FileTarget():
                return named.wanted.path.text
            case ListTarget() | LatestTarget():
                return named.path.text
            case _:
                return ""


class _Counted:
    def __init__(self, gate: Gate, top: Top) -> None:
        self._gate = gate
        self._top = top

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if len(self._top.hot) > _HOT_TARGETS:  # only what comes by here first becomes hot
            self._top.drain()
        response = await self._gate.handle(request)
        if response.status != 401:  # strangers do not decide what is on the page
            self._top.asked(request.raw_path, is_missed=noted_lookup() == "miss")
        return response


def _described(counts: SpaceSaving, at_most: int) -> list[dict[str, Any]]:
    return [{"module": one.name, "count": one.count, "atLeast": one.count - one.error} for one in counts.top(at_most)]
