"""The bounded queue between what makes spans and what sends them.

Nothing here waits for a collector but one task. While it is down or hangs, spans are kept up to a limit and then
dropped; the log says so once, and once more when it answers again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from athens_proxy.tracing.spans import FinishedSpan, KeptAnswer

MAX_WAITING_BYTES: Final = 4 << 20
MAX_BATCH_BYTES: Final = 512 << 10  # far below the 4 MiB that gRPC receivers take
EVERY_S: Final = 1.0
SEND_TIMEOUT_S: Final = 10.0
FLUSH_S: Final = 3.0
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
_LOG = logging.getLogger(__name__)


class NotSent(Exception):
    """The collector did not take a batch.

    Args:
        why: one line for the log, without credentials.
        may_try_again: whether the same batch may be taken later.
    """

    def __init__(self, why: str, *, may_try_again: bool = True) -> None:
        super().__init__(why)
        self.may_try_again = may_try_again


class Sender(Protocol):
    """One way to a collector."""

    @property
    def address(self) -> str:
        """Where it is, for messages; without credentials."""

    def encoded(self, span: FinishedSpan) -> bytes:
        """One span as `send` takes it."""

    def encoded_kept(self, answers: Sequence[KeptAnswer]) -> list[bytes]:
        """The same of requests that memory answered, as quickly as can be."""

    async def send(self, spans: list[bytes]) -> None:
        """Deliver; may hang, for the caller has a deadline.

        Raises:
            NotSent: the collector did not take it.
        """

    async def close(self) -> None:
        """Release connections."""


OnSpans = Callable[[str, int], None]


class Exporter:
    """Takes spans at any rate and sends them at its own.

    Args:
        sender: see `Sender`.
        on_spans: told what became of how many spans: exported, dropped (no room) or refused (by the collector).
    """

    def __init__(self, sender: Sender, *, on_spans: OnSpans) -> None:
        self._sender = sender
        self._on_spans = on_spans
        self._kept: list[KeptAnswer] = []  # of this turn of the event loop
        self._waiting: deque[list[bytes]] = deque([[]])  # batches; the last one grows
        self._waiting_bytes = 0
        self._last_bytes = 0
        self._enough = asyncio.Event()
        self._is_down = False

    def add(self, span: FinishedSpan) -> None:
        """Queue a span; never blocks and never fails. On the event loop only."""
        self._extend([self._sender.encoded(span)])

    def add_kept(self, kept: KeptAnswer) -> None:
        """The same for a request that memory answered; they are encoded together when the event loop has turned."""
        if not self._kept:
            asyncio.get_running_loop().call_soon(self._encode_kept)
        self._kept.append(kept)

    def _encode_kept(self) -> None:
        answers, self._kept = self._kept, []
        self._extend(self._sender.encoded_kept(answers))

    def _extend(self, spans: list[bytes]) -> None:
        self._waiting[-1] += spans
        size = sum(map(len, spans))
        self._waiting_bytes += size
        self._last_bytes += size
        if self._last_bytes >= MAX_BATCH_BYTES:
            self._end_batch()
            self._enough.set()

    def _end_batch(self) -> None:
        if self._waiting[-1]:
            self._waiting.append([])
            self._last_bytes = 0

    def is_full(self) -> bool:
        """Whether there is no room for one more."""
        return self._waiting_bytes >= MAX_WAITING_BYTES

    def dropped(self) -> None:
        """A span was not even made, since there is no room."""
        self._on_spans("dropped", 1)

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            try:
                await asyncio.wait_for(self._enough.wait(), EVERY_S)
            except TimeoutError:
                self._end_batch()
            await self._send_batches()

    async def close(self) -> None:
        """Send what waits, unless the collector is known to be away, and release connections; takes `FLUSH_S`."""
        if not self._is_down:
            self._end_batch()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._send_batches(), FLUSH_S)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._sender.close(), FLUSH_S)

    async def _send_batches(self) -> None:
        """Send all but the last one, which grows meanwhile: were it sent too, each would be of a few spans."""
        self._enough.clear()
        while len(self._waiting) > 1:
            batch = self._waiting.popleft()
            self._waiting_bytes -= sum(map(len, batch))
            try:
                await self._delivered(batch)
            except asyncio.CancelledError:
                self._waiting.appendleft(batch)
                self._waiting_bytes += sum(map(len, batch))
                raise

    async def _delivered(self, batch: list[bytes]) -> None:
        """Return when the collector has the batch, or will never take it."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self._sent(batch)
            except NotSent as failure:
                self._failed(failure)
                if not failure.may_try_again:
                    self._on_spans("refused", len(batch))
                    return
            else:
                self._answered()
                self._on_spans("exported", len(batch))
                return
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _sent(self, batch: list[bytes]) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._sender.send(batch)
        except TimeoutError:
            raise NotSent(f"no answer within {SEND_TIMEOUT_S:g} s") from None
        except NotSent:
            raise
        except Exception as error:
            raise NotSent(f"{type(error).__name__}: {error}") from error

    def _failed(self, failure: NotSent) -> None:
        if not self._is_down:
            self._is_down = True
            _LOG.warning(
                "traces are not exported: %s: %s; requests are served as ever, check TraceExporterURL",
                self._sender.address,
                " ".join(str(failure).split())[:300],
            )

    def _answered(self) -> None:
        if self._is_down:
            self._is_down = False
            _LOG.info("traces are exported again", extra={"collector": self._sender.address})
