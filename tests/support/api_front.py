"""A proxy in front of a real API server that can go wrong in every way a network and a server can.

It speaks plain HTTP on loopback and hands everything on with its credentials. A test sets `fault`, which judges each
request, and may break the streams that are open already.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web
from yarl import URL

WRITES = frozenset({"PATCH", "POST", "PUT", "DELETE"})
HOP_BY_HOP = frozenset({"host", "connection", "transfer-encoding", "content-length", "accept-encoding"})
TURNS_TO_CLOSE = 20  # of the loop: connections that are aborted let go of their sockets a few turns later
NOT_WORK = frozenset({"leases", "events", "selfsubjectaccessreviews"})


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        namespace: empty for the whole cluster.
        plural: the kind in the address, such as `configmaps`.
    """

    verb: str
    path: str
    namespace: str
    plural: str
    is_watch: bool

    @property
    def is_work(self) -> bool:
        """Whether it writes to an object that the operator works on."""
        return self.verb in WRITES and self.plural not in NOT_WORK


@dataclass
class _Stream:
    """An open watch: whether it still speaks, and how it is to end."""

    pump: asyncio.Task[None] | None = None
    muted: bool = False
    ending: bytes = b""

    def end(self, last_words: bytes) -> None:
        self.ending = last_words
        if self.pump is not None:
            self.pump.cancel()


@dataclass(frozen=True)
class Answer:
    """Answered here, not by the API server."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    reason: str = "InternalError"

    def response(self) -> web.Response:
        """As the API server would write it."""
        said = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.status}
        return web.json_response(
            {**said, "reason": self.reason, "message": "as the test wants it"}, status=self.status, headers=self.headers
        )


@dataclass(frozen=True)
class Silence:
    """Never answered; the connection stays open."""


@dataclass(frozen=True)
class Torn:
    """Answered by the API server, and cut off in the middle of the body."""


Fault = Answer | Silence | Torn
Judge = Callable[[Asked], Fault | None]


def healthy(_: Asked) -> None:
    """Lets everything through."""


class ApiFront:
    """One proxy; a context manager.

    Args:
        upstream: base address of the API server.
        ca: PEM file of its authority.

    Attributes:
        url: where it listens.
        fault: judges every request; replaced by tests at any time.
        faults: how many requests were judged faulty.
    """

    def __init__(self, upstream: str, ca: Path) -> None:
        self.url = ""
        self.fault: Judge = healthy
        self.faults = 0
        self._upstream = upstream
        self._tls = ssl.create_default_context(cafile=str(ca))
        self._written: Counter[str] = Counter()
        self._allowed: dict[str, int] = {}
        self._streams: list[_Stream] = []
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), daemon=True)

    def __enter__(self) -> ApiFront:
        self._thread.start()
        assert self._started.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)
        self._loop.close()

    def allow(self, namespace: str, writes: int | None) -> None:
        """Count anew, and refuse everything in a namespace after so many writes, as if the operator died then."""
        self._written[namespace] = 0
        self._allowed.pop(namespace, None)
        if writes is not None:
            self._allowed[namespace] = writes

    def written(self, namespace: str) -> int:
        """Writes that were handed on to the API server since `allow`."""
        return self._written[namespace]

    def is_dead(self, namespace: str) -> bool:
        """Whether all allowed writes are done."""
        return self._written[namespace] >= self._allowed.get(namespace, sys.maxsize)

    def mute_streams(self) -> None:
        """Every watch that is open now never says anything again, and stays open."""
        for stream in self._streams:
            stream.muted = True

    def cut_streams(self) -> None:
        """Every watch that is open now ends in the middle of a line."""
        self._end_streams(b'{"type": "ADDED", "obj')

    def fail_streams(self, code: int) -> None:
        """Every watch that is open now ends with an error event, 410 for a version that is gone."""
        said = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "message": "x"}
        self._end_streams(json.dumps({"type": "ERROR", "object": said}).encode() + b"\n")

    def _end_streams(self, last_words: bytes) -> None:
        for stream in list(self._streams):
            self._loop.call_soon_threadsafe(stream.end, last_words)

    async def _run(self) -> None:
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
            self._session = session
            runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0, backlog=512)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._started.set()
            await self._stop.wait()
            pumps = [stream.pump for stream in self._streams if stream.pump is not None]
            await runner.cleanup()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        for _ in range(TURNS_TO_CLOSE):
            await asyncio.sleep(0)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = _asked(request)
        fault = self.fault(asked)
        self.faults += fault is not None
        if isinstance(fault, Answer):
            return fault.response()
        if isinstance(fault, Silence):
            await asyncio.Event().wait()
        return (
            _hang_up(request)
            if self.is_dead(asked.namespace)
            else await self._forward(request, asked, torn=fault is not None)
        )

    async def _forward(self, request: web.BaseRequest, asked: Asked, *, torn: bool) -> web.StreamResponse:
        if asked.is_work:
            self._written[asked.namespace] += 1
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        url, sent = URL(self._upstream + request.raw_path, encoded=True), await request.read()
        async with self._session.request(request.method, url, headers=headers, data=sent or None) as answer:
            if asked.is_watch and answer.status == 200:
                return await self._stream(request, answer)
            body = await answer.read()
            if asked.is_work and self.is_dead(asked.namespace):  # the last write is done, and nobody ever hears of it
                return _hang_up(request)
            if torn:
                return await _tear(request, answer, body)
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            return web.Response(status=answer.status, body=body, headers=kept)

    async def _stream(self, request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        stream = _Stream()
        stream.pump = asyncio.create_task(_pump(answer, response, stream))
        self._streams.append(stream)
        try:
            await stream.pump
        except asyncio.CancelledError:
            if not stream.ending:
                raise
        except (aiohttp.ClientError, ConnectionError):
            return _hang_up(request)
        finally:
            self._streams.remove(stream)
            stream.pump.cancel()
            _abort(answer)
        if stream.ending:
            with suppress(ConnectionError):  # the client may have hung up before
                await response.write(stream.ending)
            if not stream.ending.endswith(b"\n"):
                return _hang_up(request)
        return response


def _abort(answer: aiohttp.ClientResponse) -> None:
    """Let go of the API server's side at once: a polite end of an encrypted connection takes an answer of the peer."""
    if answer.connection is not None and answer.connection.transport is not None:
        answer.connection.transport.abort()


async def _pump(answer: aiohttp.ClientResponse, response: web.StreamResponse, stream: _Stream) -> None:
    async for line in answer.content:
        if not stream.muted:
            await response.write(line)


async def _tear(request: web.BaseRequest, answer: aiohttp.ClientResponse, body: bytes) -> web.StreamResponse:
    """The head and the first half of an answer."""
    response = web.StreamResponse(status=answer.status, headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(request)
    with suppress(ConnectionError):
        await response.write(body[: len(body) // 2])
    return _hang_up(request)


def _hang_up(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)


def _asked(request: web.BaseRequest) -> Asked:
    steps = request.path.strip("/").split("/")
    steps = steps[2:] if steps[0] == "api" else steps[3:]
    namespace = ""
    if steps[:1] == ["namespaces"] and len(steps) > 2:
        namespace, steps = steps[1], steps[2:]
    return Asked(request.method, request.path, namespace, steps[0] if steps else "", "watch" in request.query)
