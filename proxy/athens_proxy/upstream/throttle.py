"""Leaves a host alone for as long as it asked for, whichever request it answered 429.

Source: RFC 9110, section 10.2.3 (Retry-After)
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

from yarl import URL

from athens_proxy.errors import UpstreamThrottled

MAX_HOLD_S: Final = 300.0


class Throttle:
    """The hosts that want to be left alone.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[URL, float] = {}

    def hold(self, url: URL, error: UpstreamThrottled) -> None:
        """Remember a 429 that names a time; one that asks for more than `MAX_HOLD_S` is tried again after that."""
        if error.retry_after_s:
            self._until[url.origin()] = self._clock() + min(error.retry_after_s, MAX_HOLD_S)

    def refuse(self, url: URL, attempt: str) -> None:
        """Succeed when the host may be asked.

        Raises:
            UpstreamThrottled: it asked to wait, with the seconds that are left.
        """
        until = self._until.get(url.origin())
        if until is None:
            return
        left_s = math.ceil(until - self._clock())
        if left_s > 0:
            raise UpstreamThrottled(
                f"{attempt}: {url.origin()} answered 429 a moment ago; ask again in {left_s} s", retry_after_s=left_s
            )
        del self._until[url.origin()]
