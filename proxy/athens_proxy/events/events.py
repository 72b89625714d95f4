"""The one place where events are published, and from where those who follow get them.

Publishing never waits and never fails; whoever reads too slowly is let go rather than waited for.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from athens_proxy.errors import Overloaded
from athens_proxy.events.filters import EventFilter
from athens_proxy.events.kept import KeptEvents
from athens_proxy.events.kinds import MAX_ID, Event, EventKind, one_line

KEPT: Final = 4_000
SUBSCRIBERS: Final = 100
BUFFERED: Final = 1_000
_LOG = logging.getLogger(__name__)


def wall_clock_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


class Subscription:
    """The events for one follower; made by `Events.subscribed`.

    Attributes:
        oldest: as of `Following`: not 0 when events are gone that the follower asked for.
        position: the id up to which nothing more will come that this follower wants.
    """

    def __init__(
        self, wanted: EventFilter, first: Iterable[Event], *, oldest: int, on_drop: Callable[[], None]
    ) -> None:
        self.oldest = oldest
        self.position = 0
        self._wanted = wanted
        self._waiting: deque[Event] = deque(event for event in first if wanted.takes(event))
        self._at_most = len(self._waiting) + BUFFERED  # what was kept is not held against the follower
        self._on_drop = on_drop
        self._woken = asyncio.Event()
        self._is_over = False

    def offer(self, event: Event) -> None:
        """Queue an event that the follower wants; one that has not read a thousand is let go."""
        if self._is_over or not self._wanted.takes(event):
            return
        if len(self._waiting) >= self._at_most:
            _LOG.warning("a follower of the events reads too slowly and is let go", extra={"unread": self._at_most})
            self.end()
            self._on_drop()
            return
        self._waiting.append(event)
        self._woken.set()

    def end(self) -> None:
        """Nothing comes any more."""
        self._is_over = True
        self._woken.set()

    async def next(self, *, within_s: float, newest_id: Callable[[], int]) -> Sequence[Event] | None:
        """What has come, waited for at most `within_s` seconds; empty if nothing came, None once it is over.

        Args:
            within_s: seconds.
            newest_id: what `position` becomes when nothing waits.
        """
        if not self._waiting and not self._is_over:
            self._woken.clear()
            try:
                async with asyncio.timeout(within_s):
                    await self._woken.wait()
            except TimeoutError:
                self.position = newest_id()
                return ()
        if self._is_over:
            return None
        batch = tuple(self._waiting)
        self._waiting.clear()
        self._at_most = BUFFERED
        self.position = batch[-1].id if batch else self.position
        return batch


class Events:
    """Publishes, keeps and hands on.

    Args:
        clock_us: microseconds since 1970.
        origin: a name of this process that no other one has.
        at_most_subscribers: how many may follow at once.
    """

    def __init__(
        self,
        *,
        clock_us: Callable[[], int] = wall_clock_us,
        origin: str = "",
        at_most_subscribers: int = SUBSCRIBERS,
    ) -> None:
        self.origin = origin or uuid.uuid4().hex[:12]
        self.counts: Counter[str] = Counter()
        self._clock_us = clock_us
        self._kept = KeptEvents(KEPT)
        self._subscriptions: set[Subscription] = set()
        self._at_most_subscribers = at_most_subscribers
        self._listeners: list[Callable[[Event], None]] = []
        self._is_over = False

    def publish(self, kind: EventKind | str, module: str, version: str, detail: str = "") -> None:
        """Tell that something happened; never waits and never fails. For the event loop's own thread.

        Args:
            kind: one of `EventKind`.
            module: the path, not escaped.
            version: "" for the module as a whole.
            detail: for people, without secrets; becomes one printable line.
        """
        number = min(MAX_ID, max(self._clock_us(), self._kept.last_id + 1))
        self.take(Event(number, EventKind(kind), module, version, one_line(detail), self.origin))
        self.counts[str(kind)] += 1

    def take(self, event: Event) -> bool:
        """Hand on an event that was published here or elsewhere; False if it was known."""
        if not self._kept.add(event):
            return False
        for subscription in tuple(self._subscriptions):
            subscription.offer(event)
        for listener in self._listeners:
            listener(event)
        return True

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call this with each event from now on; it must not fail or wait."""
        self._listeners.append(listener)

    def newest(self, count: int) -> Sequence[Event]:
        """The last events, newest first."""
        return self._kept.newest(count)

    @property
    def last_id(self) -> int:
        """The greatest id so far, 0 for none."""
        return self._kept.last_id

    @property
    def subscribers(self) -> int:
        """How many follow now."""
        return len(self._subscriptions)

    @contextmanager
    def subscribed(
        self, wanted: EventFilter, *, since: int | None, on_drop: Callable[[], None] = lambda: None
    ) -> Iterator[Subscription]:
        """The events for one follower while the context is open.

        Args:
            wanted: which.
            since: the last id that the follower knows, 0 for all that are kept, None for those that come.
            on_drop: called when the follower is let go because it does not read.

        Raises:
            Overloaded: too many follow already, or the proxy is about to end.
        """
        if self._is_over or len(self._subscriptions) >= self._at_most_subscribers:
            why = "this proxy is ending" if self._is_over else f"{self._at_most_subscribers} follow already"
            raise Overloaded(f"follow the events: {why}; ask again later")
        following = self._kept.after(since) if since is not None else None
        events, oldest = (following.events, following.oldest) if following else ((), 0)
        subscription = Subscription(wanted, events, oldest=oldest, on_drop=on_drop)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def release(self) -> None:
        """Let all followers go: those who still may come back, and show their credentials again."""
        for subscription in self._subscriptions:
            subscription.end()

    def end(self) -> None:
        """Let all followers go and take no new ones, because the proxy ends."""
        self._is_over = True
        self.release()
