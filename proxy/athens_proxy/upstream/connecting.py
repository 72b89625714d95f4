"""Deadlines for a connection, whatever lies on its way (a name server, a forward proxy), and for an answer to begin.

aiohttp bounds the TCP connection and the TLS handshake, not the look-up of a name, nor the wait for what a forward
proxy answers to `CONNECT`. Waiting for a free connection is no part of it: others may have long downloads. Nor does
aiohttp bound a header that comes byte by byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import aiohttp


class Patience:
    """How long one request waits for a connection, then for an answer; given to aiohttp as `trace_request_ctx`."""

    def __init__(self, deadline: asyncio.Timeout, *, connection_s: float, answer_s: float) -> None:
        self._deadline = deadline
        self._connection_s = connection_s
        self._answer_s = answer_s
        self.has_connection = False

    def begin(self) -> None:
        """A connection is being made from now on."""
        self.has_connection = False
        self._deadline.reschedule(asyncio.get_running_loop().time() + self._connection_s)

    def connected(self) -> None:
        """It is there, made or used again."""
        self.has_connection = True
        self._deadline.reschedule(asyncio.get_running_loop().time() + self._answer_s)


@asynccontextmanager
async def patience(*, connection_s: float, answer_s: float) -> AsyncIterator[Patience]:
    """Bounds a request in this context, in a session that has `connecting` among its observers.

    Args:
        connection_s: seconds for a connection.
        answer_s: seconds on it until the context ends, which is when the header of the answer is there.

    Raises:
        aiohttp.ConnectionTimeoutError: there was no connection in time.
        TimeoutError: there was one, and no answer in time.
    """
    deadline = asyncio.timeout(None)
    wait = Patience(deadline, connection_s=connection_s, answer_s=answer_s)
    try:
        async with deadline:
            yield wait
    except TimeoutError as error:
        if deadline.expired() and not wait.has_connection:
            raise aiohttp.ConnectionTimeoutError(f"no connection within {connection_s:g} s") from error
        raise


def connecting() -> aiohttp.TraceConfig:
    """The observer that tells a `Patience` of connections."""

    async def begun(_: aiohttp.ClientSession, held: SimpleNamespace, params: object) -> None:
        if isinstance(held.trace_request_ctx, Patience):
            held.trace_request_ctx.begin()

    async def made(_: aiohttp.ClientSession, held: SimpleNamespace, params: object) -> None:
        if isinstance(held.trace_request_ctx, Patience):
            held.trace_request_ctx.connected()

    config = aiohttp.TraceConfig()
    config.on_connection_create_start.append(begun)
    config.on_connection_create_end.append(made)
    config.on_connection_reuseconn.append(made)
    return config
