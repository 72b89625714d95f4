"""A deadline for making a connection, whatever lies on its way: a name server, a forward proxy, the upstream itself.

aiohttp bounds the TCP connection and the TLS handshake, not the look-up of a name, nor the wait for what a forward
proxy answers to `CONNECT`. Waiting for a free connection is no part of it: others may have long downloads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import aiohttp


class Patience:
    """How long one request waits for a connection; given to aiohttp as `trace_request_ctx`."""

    def __init__(self, deadline: asyncio.Timeout, within_s: float) -> None:
        self._deadline = deadline
        self._within_s = within_s

    def begin(self) -> None:
        """A connection is being made from now on."""
        self._deadline.reschedule(asyncio.get_running_loop().time() + self._within_s)

    def end(self) -> None:
        """It is there."""
        self._deadline.reschedule(None)


@asynccontextmanager
async def patience(within_s: float) -> AsyncIterator[Patience]:
    """Bounds each connection that is made in this context, in a session that has `connecting` among its observers.

    Raises:
        aiohttp.ConnectionTimeoutError: there was none in time.
    """
    deadline = asyncio.timeout(None)
    try:
        async with deadline:
            yield Patience(deadline, within_s)
    except TimeoutError as error:
        if deadline.expired():
            raise aiohttp.ConnectionTimeoutError(f"no connection within {within_s:g} s") from error
        raise


def connecting() -> aiohttp.TraceConfig:
    """The observer that tells a `Patience` of connections."""

    async def begun(_: aiohttp.ClientSession, held: SimpleNamespace, params: object) -> None:
        if isinstance(held.trace_request_ctx, Patience):
            held.trace_request_ctx.begin()

    async def made(_: aiohttp.ClientSession, held: SimpleNamespace, params: object) -> None:
        if isinstance(held.trace_request_ctx, Patience):
            held.trace_request_ctx.end()

    config = aiohttp.TraceConfig()
    config.on_connection_create_start.append(begun)
    config.on_connection_create_end.append(made)
    return config
