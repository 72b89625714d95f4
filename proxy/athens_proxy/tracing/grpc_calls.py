"""One gRPC method that takes and gives bytes, called from the event loop without waiting in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import grpc  # type: ignore[import-untyped]  # it ships no types

from athens_proxy.tracing.exporter import SEND_TIMEOUT_S, NotSent

_TRY_AGAIN: Final = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAUTHENTICATED,  # a token may be renewed
    }
)
# No retries inside of the library: the exporter tries again by itself.
OPTIONS: Final = (("grpc.enable_retries", 0),)


class GrpcCall:
    """A unary method.

    Args:
        channel: to the server; closed with this call.
        method: its full name, `/package.Service/Method`.
        metadata: sent with every call.
    """

    def __init__(self, channel: grpc.Channel, method: str, *, metadata: tuple[tuple[str, str], ...] = ()) -> None:
        self._channel = channel
        self._call: Callable[..., Any] = channel.unary_unary(method, request_serializer=_as_is).future
        self._metadata = metadata

    async def __call__(self, request: bytes) -> None:
        """Returns when the server has taken it.

        Raises:
            NotSent: it has not.
        """
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[None] = loop.create_future()
        call = self._call(request, timeout=SEND_TIMEOUT_S, metadata=self._metadata)
        call.add_done_callback(lambda done: _tell(loop, answered, done))
        try:
            await answered
        finally:
            call.cancel()

    def close(self) -> None:
        """Close the channel; calls under way end."""
        self._channel.close()


def _as_is(data: bytes) -> bytes:
    return data


def _tell(loop: asyncio.AbstractEventLoop, answered: asyncio.Future[None], call: Any) -> None:
    """On a thread of the library: hand the outcome over to the event loop, if that still runs."""
    code = call.code()
    failure = None
    if code is not grpc.StatusCode.OK:
        text = f"{code.name.lower().replace('_', ' ')}: {call.details() or 'no details'}"
        failure = NotSent(text, may_try_again=code in _TRY_AGAIN)
    if not loop.is_closed():
        loop.call_soon_threadsafe(_settle, answered, failure)


def _settle(answered: asyncio.Future[None], failure: NotSent | None) -> None:
    if answered.done():
        return
    if failure is None:
        answered.set_result(None)
    else:
        answered.set_exception(failure)
