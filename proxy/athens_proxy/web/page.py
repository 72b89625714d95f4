"""The page for people at `/-/ui`, and the JSON behind it.

The page is one document: no file of another host, no framework, and a policy that runs nothing but its own script,
named by its hash. What comes from the store or from clients becomes text there, never markup.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any, Final

from aiohttp import web

from athens_proxy.modules import ModulePath
from athens_proxy.page.facts import MAX_MODULES, MAX_VERSIONS, Facts
from athens_proxy.web.parameters import InvalidParameter, integer, parameters
from athens_proxy.web.responses import HTML, JSON, Responses
from athens_proxy.web.routes import Handler

MODULES: Final = 50
VERSIONS: Final = 20
MAX_QUERY: Final = 255


class Page:
    """The endpoints of the page.

    Args:
        facts: what it tells.
        responses: for what cannot be answered.
    """

    def __init__(self, facts: Facts, responses: Responses) -> None:
        self._facts = facts
        self._responses = responses
        style, script, page = (_resource(f"page.{kind}") for kind in ("css", "js", "html"))
        self._body = page.replace("/*style*/", style).replace("/*script*/", script).encode()
        self._headers = {
            "Content-Type": HTML,
            "Cache-Control": "no-cache",
            "Content-Security-Policy": _content_policy(style=style, script=script),
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }

    @property
    def routes(self) -> dict[str, Handler]:
        """The handlers by path."""
        return {
            "/-/ui": self.page,
            "/-/modules": self.modules,
            "/-/versions": self.versions,
            "/-/summary": self.summary,
        }

    async def page(self, request: web.BaseRequest) -> web.StreamResponse:
        """The document, the same for everybody."""
        del request
        return web.Response(body=self._body, headers=self._headers)

    async def modules(self, request: web.BaseRequest) -> web.StreamResponse:
        """One page of the stored modules: `q`, `after`, `limit`."""
        try:
            asked = await parameters(request)
            limit = _limit(integer(asked, "limit", default=MODULES), MAX_MODULES)
            return _json(
                await self._facts.modules(_query(asked.get("q", "")), after=asked.get("after", ""), limit=limit)
            )
        except InvalidParameter as error:
            return self._responses.line(400, f"bad request: {error}")

    async def versions(self, request: web.BaseRequest) -> web.StreamResponse:
        """One page of the stored versions of a module: `module`, `after`, `limit`."""
        try:
            asked = await parameters(request)
            limit = _limit(integer(asked, "limit", default=VERSIONS), MAX_VERSIONS)
        except InvalidParameter as error:
            return self._responses.line(400, f"bad request: {error}")
        path = ModulePath.parse(asked.get("module", ""))
        return _json(await self._facts.versions(path, after=asked.get("after", ""), limit=limit))

    async def summary(self, request: web.BaseRequest) -> web.StreamResponse:
        """The state of the proxy and what happened lately."""
        del request
        return _json(self._facts.summary())


def _resource(name: str) -> str:
    return files(__package__ or "athens_proxy.web").joinpath(name).read_text(encoding="utf-8")


def _content_policy(*, style: str, script: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _query(text: str) -> str:
    if len(text) > MAX_QUERY:
        raise InvalidParameter(f"q has {len(text)} characters; at most {MAX_QUERY} are allowed")
    return text


def _limit(asked: int, at_most: int) -> int:
    return min(asked, at_most) if asked > 0 else at_most


def _json(document: dict[str, Any]) -> web.Response:
    headers = {"Content-Type": JSON, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return web.Response(body=f"{json.dumps(document, separators=(',', ':'))}\n".encode(), headers=headers)
