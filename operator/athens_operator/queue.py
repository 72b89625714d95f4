"""The de-duplicating work queue: many events about one object become one run, never two runs at once.

Semantics as in client-go's work queue (a dirty and a processing set), plus what bursts and failures need:
a debounce that waits for quiet, delayed re-adds, and a back-off per key with jitter. The queue knows nothing of what
a key means and nothing of Kubernetes.

Source: reference measurements of policy storms; https://pkg.go.dev/k8s.io/client-go/util/workqueue
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

QUIET_S = 0.25  # a burst of edits is over when nothing came for this long
PATIENCE_S = 1.0  # ... but a burst without end is served this often
PATIENCE_PER_KEY_S = 0.004  # ... and less often if it concerns many keys, since their runs would slow the burst down
LONGEST_PATIENCE_S = 3.0
LONG_LOOK_S = 60.0
TOGETHER_S = 5.0  # runs that come one by one find the caches of the processor cold and cost over twice as much
BACKOFF_FIRST_S = 0.2
BACKOFF_LAST_S = 300.0
TICK_S = 0.001  # a timer may fire this much before its time


@dataclass(slots=True)
class _Plan:
    """When a key becomes ready, on the event loop's clock."""

    first: float
    ready_at: float
    timer: asyncio.TimerHandle


class WorkQueue(Generic[K]):
    """Keys to work on, each at most once at a time.

    Args:
        quiet_s: an added key becomes ready when no further `add` came for this many seconds.
        patience_s: a key that is added again and again becomes ready after this many seconds anyway; a little later
            for every other key of which the same is true.
    """

    def __init__(self, *, quiet_s: float = QUIET_S, patience_s: float = PATIENCE_S) -> None:
        self._quiet_s = quiet_s
        self._patience_s = patience_s
        self._waiting: dict[K, _Plan] = {}
        self._in_bursts: set[K] = set()
        self._ready: deque[K] = deque()
        self._ready_since: dict[K, float] = {}
        self._processing: dict[K, float] = {}
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._wake = asyncio.Event()

    def add(self, key: K) -> None:
        """The key needs a run, once its burst of changes is over. Adding a queued key adds nothing."""
        if key in self._ready_since:
            return
        self._in_bursts.add(key)
        now = self._now()
        plan = self._waiting.get(key)
        first = plan.first if plan is not None and plan.ready_at <= now + self._quiet_s else now
        self._plan(key, first, min(now + self._quiet_s, first + self._patience()))

    def add_after(self, key: K, delay_s: float) -> None:
        """The key needs a run in that many seconds; an earlier one that is already planned stands for it."""
        ready_at = self._now() + delay_s
        plan = self._waiting.get(key)
        if key not in self._again and (plan is None or plan.ready_at > ready_at):
            self._plan(key, self._now(), ready_at)

    def look_again(self, key: K, delay_s: float) -> None:
        """As `add_after`; a long delay ends up to five seconds earlier, so that such runs come together."""
        at = self._now() + delay_s
        self.add_after(key, delay_s if delay_s < LONG_LOOK_S else delay_s - at % TOGETHER_S)

    def retry(self, key: K) -> float:
        """The run failed: plan the next one, later each time, and return the delay in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        ceiling = min(BACKOFF_LAST_S, BACKOFF_FIRST_S * 2.0 ** min(failures, 32))
        delay_s = ceiling * random.uniform(0.5, 1.0)  # noqa: S311 (jitter, not a secret)
        self.add_after(key, delay_s)
        return delay_s

    def forget(self, key: K) -> None:
        """The run succeeded: the next failure starts with the shortest delay again."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The next ready key, now marked as being processed; pair with `done`."""
        while not self._ready:
            self._wake.clear()
            await self._wake.wait()
        key = self._ready.popleft()
        del self._ready_since[key]
        self._processing[key] = self._now()
        return key

    def done(self, key: K) -> None:
        """The run is over; if the key was added meanwhile it becomes ready for exactly one more run."""
        del self._processing[key]
        if key in self._again:
            self._again.discard(key)
            self._make_ready(key)

    @property
    def depth(self) -> int:
        """Keys that are ready or running."""
        return len(self._ready) + len(self._processing)

    def oldest_s(self) -> float:
        """Seconds for which the oldest ready or running key has been so; 0 when there is none."""
        began = [*self._ready_since.values(), *self._processing.values()]
        return self._now() - min(began) if began else 0.0

    def _patience(self) -> float:
        """Seconds for which a burst may put off the keys that it concerns."""
        return min(self._patience_s + PATIENCE_PER_KEY_S * (len(self._in_bursts) - 1), LONGEST_PATIENCE_S)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _plan(self, key: K, first: float, ready_at: float) -> None:
        if key in self._ready_since:
            return
        plan = self._waiting.get(key)
        if plan is None or ready_at < plan.ready_at:
            if plan is not None:
                plan.timer.cancel()
            timer = asyncio.get_running_loop().call_at(ready_at, self._ripen, key)
            self._waiting[key] = _Plan(first, ready_at, timer)
        else:  # later: the timer looks again when it fires, so that a burst costs no timers
            plan.first, plan.ready_at = first, ready_at

    def _ripen(self, key: K) -> None:
        plan = self._waiting[key]
        if plan.ready_at > self._now() + TICK_S:
            plan.timer = asyncio.get_running_loop().call_at(plan.ready_at, self._ripen, key)
            return
        del self._waiting[key]
        self._in_bursts.discard(key)
        if key in self._processing:
            self._again.add(key)
        else:
            self._make_ready(key)

    def _make_ready(self, key: K) -> None:
        if key in self._ready_since:
            return
        self._ready.append(key)
        self._ready_since[key] = self._now()
        self._wake.set()
