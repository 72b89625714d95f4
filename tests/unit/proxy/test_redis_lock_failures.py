"""What a Redis client throws when its server is gone, in the words of the lock contract."""

from __future__ import annotations

from typing import Any, cast

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from athens_proxy.stash.lock import LockUnavailable
from athens_proxy.stash.redis_lock import RedisLocks


class Gone:
    """A client whose server has just been killed."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    async def eval(self, *_: Any) -> Any:
        raise self.failure

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize(
    "failure",
    [
        RedisConnectionError("Connection closed by server"),
        ConnectionResetError(104, "Connection reset by peer"),
        TimeoutError(),
        RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed"),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_a_server_that_goes_makes_the_lock_unavailable_and_nothing_else(failure: Exception) -> None:
    locks = RedisLocks(cast(Any, Gone(failure)), name="redis 127.0.0.1:6379")

    with pytest.raises(LockUnavailable, match=r"redis 127\.0\.0\.1:6379 does not answer"):
        await locks.acquire("example.com/m@v1.0.0")
