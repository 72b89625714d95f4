"""`GET /-/events`: what happens to the store as server-sent events, for as long as the client stays.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web

from athens_proxy.connections import PatientConnection
from athens_proxy.events.events import Events, Subscription
from athens_proxy.events.filters import EventFilter, InvalidFilter
from athens_proxy.events.kinds import MAX_ID, Event
from athens_proxy.web.responses import STREAMING_SINCE, Responses, signature

HEARTBEAT_S: Final = 15.0
LOOK_S: Final = 1.0  # after so long a place is free again whose client has left
RETRY_MS: Final = 3_000
_HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would keep events back until it has a few kilobytes
}
_ID: Final = re.compile(r"[0-9]{1,16}", re.ASCII)


class InvalidPosition(ValueError):
    """The position is no id of an event."""


class EventStream:
    """Streams events to clients.

    Args:
        events: what they follow.
        responses: for those who ask wrongly.
        on_follow: called when somebody begins to follow.
        heartbeat_s: seconds without an event after which a sign of life goes out.
    """

    def __init__(
        self,
        events: Events,
        responses: Responses,
        *,
        on_follow: Callable[[], None] = lambda: None,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._events = events
        self._responses = responses
        self._on_follow = on_follow
        self._heartbeat_s = heartbeat_s

    async def stream(self, request: web.BaseRequest) -> web.StreamResponse:
        """The events until the client leaves or the proxy ends.

        Raises:
            Overloaded: too many follow already.
        """
        try:
            wanted = EventFilter.parse(request.query.getall("kind", []), request.query.getall("module", []))
            since = position_of(request.headers, request.query)
        except (InvalidFilter, InvalidPosition) as error:
            return self._responses.line(400, f"bad request: {error}")
        if request.method == "HEAD":
            return web.Response(headers=_HEADERS)
        transport = request.transport
        on_drop = transport.abort if transport is not None else lambda: None
        with self._events.subscribed(wanted, since=since, on_drop=on_drop) as subscription:
            self._on_follow()
            response = web.StreamResponse(headers={**_HEADERS, **signature(request)})
            response.force_close()  # what comes after the stream is a new position
            await response.prepare(request)
            request[STREAMING_SINCE] = time.monotonic()
            await response.write(_greeting(since, subscription.oldest))
            await self._pour(subscription, response, request)
        return response

    async def _pour(self, subscription: Subscription, response: web.StreamResponse, request: web.BaseRequest) -> None:
        silent_s = 0.0
        look_s = min(LOOK_S, self._heartbeat_s)
        while True:
            batch = await subscription.next(within_s=look_s, newest_id=lambda: self._events.last_id)
            if batch is None or _has_left(request):
                break
            silent_s = 0.0 if batch else silent_s + look_s
            if batch:
                await response.write(b"".join(map(encoded, batch)))
            elif silent_s >= self._heartbeat_s:
                silent_s = 0.0
                await response.write(_heartbeat(subscription.position))
            await asyncio.sleep(0)  # a reader that keeps up with everything must not keep others waiting
        if request.transport is not None:
            await response.write_eof()


def _has_left(request: web.BaseRequest) -> bool:
    """Whether the client is gone, which nothing else tells; one that says no more word is taken for gone, too."""
    return request.transport is None or (isinstance(request.protocol, PatientConnection) and request.protocol.has_ended)


def position_of(headers: Mapping[str, str], query: Mapping[str, str]) -> int | None:
    """Where a client wants to go on: the header of a reconnecting one, else the parameter; None for neither.

    Raises:
        InvalidPosition: it is no id.
    """
    text = headers.get("Last-Event-ID", "") or query.get("since", "")
    if not text:
        return None
    if not _ID.fullmatch(text) or int(text) > MAX_ID:
        raise InvalidPosition("Last-Event-ID and since take the id of an event, or 0 for all that are kept")
    return int(text)


def encoded(event: Event) -> bytes:
    """An event as it goes over the wire."""
    return f"id: {event.id}\nevent: {event.kind}\ndata: {_json(event.fields())}\n\n".encode()


def _greeting(since: int | None, oldest: int) -> bytes:
    begin = f": events of athens-proxy\nretry: {RETRY_MS}\n\n"
    if oldest:
        begin += f"event: missed\ndata: {_json({'since': since, 'oldest': oldest})}\n\n"
    return begin.encode()


def _heartbeat(position: int) -> bytes:
    # An id without data tells nobody anything, but a client that comes back with it need not hear of old events.
    return f": heartbeat\nid: {position}\n\n".encode() if position else b": heartbeat\n\n"


def _json(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, separators=(",", ":"))
