"""What happens around every handler, in order: request id, access line, errors as answers, TLS, credentials, method."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import web

from athens_proxy.errors import AccessDenied, ModuleNotFound, ProxyError, RedirectTo
from athens_proxy.request_id import request_id as current_request
from athens_proxy.web.access import Access
from athens_proxy.web.responses import REQUEST_ID, REQUEST_ID_KEY, STREAMING_SINCE, Responses, signature
from athens_proxy.web.routes import Routes
from athens_proxy.web.targets import FileTarget, FixedTarget, LatestTarget, ListTarget, StoreTarget, Target, target

_SANE_ID: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}", re.ASCII)
_ADDRESSES: Final = re.compile(r"[A-Za-z0-9.:,_\[\] -]{1,256}", re.ASCII)
CLIENT_LEFT: Final = 499  # nobody is there to read it; access lines and metrics tell it from an answer
_METHODS: Final = ("GET", "HEAD")
_PROBES: Final = (FixedTarget("/healthz"), FixedTarget("/readyz"))
_FORMS: Final = (FixedTarget("/catalog"), FixedTarget("/index"))  # their parameters may come in a body, as in Athens
_CHALLENGE: Final = 'Basic realm="basic auth required"'
_LOG: Final = logging.getLogger(__name__)
_cache_result: ContextVar[str] = ContextVar("cache_result", default="")

OnRequest = Callable[[str, int, float], None]


def note_lookup(*, hit: bool) -> None:
    """Remember for the access line of this request whether its file was stored."""
    _cache_result.set("hit" if hit else "miss")


def noted_lookup() -> str:
    """`hit` or `miss`, "" if this request asked for no file."""
    return _cache_result.get()


@dataclass(frozen=True, slots=True)
class AccessLine:
    """What the log says about an answered request.

    Attributes:
        method: of the request.
        raw_path: of the request, with query string.
        status: of the answer.
        size_bytes: of its body.
        duration_s: until the answer was there.
        cache: `hit` or `miss`, "" if no file was asked for.
        client: address at the other end of the connection, "" if it has none.
        forwarded_for: for whom that one says it asks, "" for nobody; anybody may claim anything there.
    """

    method: str
    raw_path: str
    status: int
    size_bytes: int
    duration_s: float
    cache: str
    client: str = ""
    forwarded_for: str = ""


def is_sane_id(asked_id: str) -> bool:
    """Whether a client's request id may be used as it is."""
    return _SANE_ID.fullmatch(asked_id) is not None


def sane_addresses(text: str) -> str:
    """`X-Forwarded-For` if it holds addresses and names, else "": anything else would write the log itself."""
    return text if _ADDRESSES.fullmatch(text) else ""


def is_access_logged() -> bool:
    """Whether anybody reads access lines."""
    return _LOG.isEnabledFor(logging.INFO)


def log_access(line: AccessLine, *, request_id: str) -> None:
    """Write the access line of one request."""
    fields = {
        "http-method": line.method,
        "http-path": line.raw_path.partition("?")[0],
        "http-status": str(line.status),
        "request-id": request_id,
        "duration_ms": round(line.duration_s * 1000, 3),
        "bytes": line.size_bytes,
    }
    where_known = {"client": line.client, "forwarded-for": line.forwarded_for, "cache": line.cache}
    _LOG.info("incoming request", extra={**fields, **{name: text for name, text in where_known.items() if text}})


class Gate:
    """The one entry of every request; `handle` is what the server calls."""

    def __init__(self, routes: Routes, responses: Responses, access: Access, *, on_request: OnRequest) -> None:
        self._routes = routes
        self._responses = responses
        self._access = access
        self._on_request = on_request

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, count it and write its access line."""
        begin = time.monotonic()
        asked_id = request.headers.get(REQUEST_ID, "")
        request[REQUEST_ID_KEY] = asked_id if is_sane_id(asked_id) else str(uuid.uuid4())
        current_request.set(request[REQUEST_ID_KEY])
        _cache_result.set("")
        status, size_bytes = CLIENT_LEFT, 0
        try:
            response = await self._answer(request)
            status, size_bytes = response.status, _size_bytes(response)
        finally:
            duration_s = time.monotonic() - begin
            self._on_request(request.method, status, request.get(STREAMING_SINCE, begin + duration_s) - begin)
            if is_access_logged():
                line = AccessLine(
                    method=request.method,
                    raw_path=request.raw_path,
                    status=status,
                    size_bytes=size_bytes,
                    duration_s=duration_s,
                    cache=noted_lookup(),
                    client=request.remote or "",
                    forwarded_for=sane_addresses(", ".join(request.headers.getall("X-Forwarded-For", []))),
                )
                log_access(line, request_id=request[REQUEST_ID_KEY])
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        response = await self._response(request)
        if not response.prepared:
            response.headers.update(signature(request))
        return response

    async def _response(self, request: web.BaseRequest) -> web.StreamResponse:
        request_id = request[REQUEST_ID_KEY]
        try:
            return await self._admitted(request)
        except RedirectTo as redirect:
            return self._responses.line(redirect.status, redirect.url, {"Location": redirect.url})
        except ProxyError as error:
            response = self._responses.error(error, request_id=request_id)
            _log_failure(error, request, response.status, _target_or_error(request, self._access.prefix))
            return response
        except asyncio.CancelledError:
            raise
        except ConnectionError:  # raised by our own writes only: upstream's failures are ProxyErrors by now
            return web.Response(status=CLIENT_LEFT)
        except Exception:  # noqa: BLE001 - the outermost edge: a defect becomes a line in the log and an honest 500
            _LOG.exception("a request failed in a way that nobody foresaw", extra={"request-id": request_id})
            return self._responses.line(500, "internal error", request_id=request_id)

    async def _admitted(self, request: web.BaseRequest) -> web.StreamResponse:
        wanted = _target_or_error(request, self._access.prefix)
        if wanted not in _PROBES:
            refusal = self._https_redirect(request) or await self._challenge(request)
            if refusal is not None:
                return refusal
        methods = _methods(wanted)
        if request.method not in methods:
            headers = {"Allow": ", ".join(methods)}
            text = f"method {request.method} is not allowed; use {' or '.join(methods)}"
            return self._responses.line(405, text, headers)
        if isinstance(wanted, ProxyError):
            raise wanted
        return await self._routes.answer(request, wanted)

    def _https_redirect(self, request: web.BaseRequest) -> web.Response | None:
        is_secure = request.secure or request.headers.get("X-Forwarded-Proto") == "https"
        if is_secure or not self._access.force_ssl:
            return None
        location = f"https://{request.host}{request.raw_path}"
        return self._responses.line(301, "use https", {"Location": location})

    async def _challenge(self, request: web.BaseRequest) -> web.Response | None:
        if await self._access.admits(request.headers.get("Authorization", "")):
            return None
        text = "unauthorized: a user name and password, or a token, are needed"
        return self._responses.line(401, text, {"WWW-Authenticate": _CHALLENGE})


def _target_or_error(request: web.BaseRequest, prefix: str) -> Target | ModuleNotFound:
    """Kept as a value, so that a stranger learns nothing from a malformed path before showing credentials."""
    try:
        return target(request.raw_path, prefix=prefix)
    except ModuleNotFound as error:
        return error


def _methods(wanted: Target | ModuleNotFound) -> tuple[str, ...]:
    """What may be done with a target."""
    if isinstance(wanted, StoreTarget):
        return (*_METHODS, "POST", "PUT", "DELETE")
    return (*_METHODS, "POST") if wanted in _FORMS else _METHODS


def _size_bytes(response: web.StreamResponse) -> int:
    return response.content_length or response.body_length if response.prepared else response.content_length or 0


def _log_failure(error: ProxyError, request: web.BaseRequest, status: int, wanted: Target | ModuleNotFound) -> None:
    """The line of a request that failed: Athens' fields, and which error it was."""
    fields = {"kind": HTTPStatus(status).phrase, "cause": type(error).__name__, **_subject(wanted)}
    _LOG.log(_level(error), "%s", error, extra={**fields, "request-id": request[REQUEST_ID_KEY]})


def _level(error: ProxyError) -> int:
    if isinstance(error, ModuleNotFound):
        return logging.DEBUG
    return logging.INFO if isinstance(error, AccessDenied) else logging.ERROR  # a denial is the policy at work


def _subject(wanted: Target | ModuleNotFound) -> dict[str, str]:
    """What a request was about; `observability.py` writes `go-module` as Athens does."""
    match wanted:
        case FileTarget(wanted=version):
            return {"go-module": version.path.text, "version": version.version}
        case ListTarget(path=path) | LatestTarget(path=path):
            return {"go-module": path.text}
        case _:
            return {}
