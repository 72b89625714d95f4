"""Deadlines for a connection, whatever lies on its way (a name server, a forward proxy), and for an answer to begin.

aiohttp bounds the TCP connection and the TLS handshake, not the look-up of a name, nor the wait for what a forward
proxy answers to `CONNECT`. Waiting for a free connection is no part of it: others may have long downloads. Nor does
aiohttp bound a header that comes byte by byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import aiohttp


class Patience:
    """How long one request waits for a connection, then for an answer."""

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


_PATIENCE: ContextVar[Patience | None] = ContextVar("patience", default=None)


@asynccontextmanager
async def patience(*, connection_s: float, answer_s: float) -> AsyncIterator[Patience]:
    """Bounds the requests in this context that a session over a `PatientConnector` makes, one after the other.

    Args:
        connection_s: seconds for a connection.
        answer_s: seconds on it until the context ends, which is when the header of the answer is there.

    Raises:
        aiohttp.ConnectionTimeoutError: there was no connection in time.
        TimeoutError: there was one, and no answer in time.
    """
    deadline = asyncio.timeout(None)
    wait = Patience(deadline, connection_s=connection_s, answer_s=answer_s)
    token = _PATIENCE.set(wait)
    try:
        async with deadline:
            yield wait
    except TimeoutError as error:
        if deadline.expired() and not wait.has_connection:
            raise aiohttp.ConnectionTimeoutError(f"no connection within {connection_s:g} s") from error
        raise
    finally:
        _PATIENCE.reset(token)


class PatientConnector(aiohttp.TCPConnector):
    """Tells the `Patience` of the present context what becomes of connections.

    aiohttp's observers could do so, too, but cost a tenth of a request.
    """

    async def connect(self, *request: Any, **settings: Any) -> Any:
        """A connection, when there is one; its answer is waited for from now on."""
        connection = await super().connect(*request, **settings)
        if (wait := _PATIENCE.get()) is not None:
            wait.connected()
        return connection

    async def _create_connection(self, *request: Any, **settings: Any) -> Any:
        """A new one: called once a place for it is free."""
        if (wait := _PATIENCE.get()) is not None:
            wait.begin()
        return await super()._create_connection(*request, **settings)
