"""The operator's own HTTP server: /healthz, /readyz and /metrics.

Alive means that restarting would not help: the event loop turns, the queue moves, the watches are not blind. An
unreachable API server is no reason to restart. Ready means that every kind was listed once; a standby is ready too.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from aiohttp import web

from athens_operator.errors import OperatorError
from athens_operator.metrics import Metrics

LAG_LIMIT_S = 5.0
QUEUE_AGE_LIMIT_S = 600.0
TICK_S = 1.0


class Health:
    """What the probes are told.

    Args:
        queue_age_s: age in seconds of the oldest key that is ready or running.
        blind_kinds: kinds whose watch is known to miss changes.
        metrics: receives the loop lag.
    """

    def __init__(
        self, *, queue_age_s: Callable[[], float], blind_kinds: Callable[[], list[str]], metrics: Metrics
    ) -> None:
        self._queue_age_s = queue_age_s
        self._blind_kinds = blind_kinds
        self._metrics = metrics
        self._last_tick: float | None = None
        self.unlisted: set[str] = {"everything"}

    async def tick(self) -> None:
        """Measure the event loop until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._last_tick = loop.time()
            await asyncio.sleep(TICK_S)
            self._metrics.loop_lag_s.set(max(0.0, loop.time() - self._last_tick - TICK_S))

    def ailments(self) -> list[str]:
        """Why the process should be restarted; empty when it should not."""
        found = []
        if self._last_tick is not None and self._lag_s() > LAG_LIMIT_S:
            found.append(f"the event loop is {self._lag_s():.1f} s late")
        if self._queue_age_s() > QUEUE_AGE_LIMIT_S:
            found.append(f"a key waits or runs for {self._queue_age_s():.0f} s")
        return found + [f"the watch of {kind} misses changes" for kind in self._blind_kinds()]

    def waiting_for(self) -> list[str]:
        """What was not listed yet; empty when the operator is ready."""
        return sorted(self.unlisted)

    def _lag_s(self) -> float:
        return asyncio.get_running_loop().time() - (self._last_tick or 0.0) - TICK_S


class PortTaken(OperatorError):
    """Health cannot be served on the chosen port."""


async def listen(runner: web.AppRunner, port: int) -> int:
    """Serve on all addresses; the port, which is a free one for 0.

    Raises:
        PortTaken: somebody listens there, or the process may not.
    """
    try:
        await web.TCPSite(runner, port=port).start()
    except OSError as error:
        advice = "choose another one with ATHENS_OPERATOR_HEALTH_PORT"
        raise PortTaken(f"serve health on port {port}: {os.strerror(error.errno or 0)}; {advice}") from error
    return int(runner.addresses[0][1])


def health_app(health: Health, metrics: Metrics, refresh: Callable[[], None]) -> web.Application:
    """The three endpoints.

    Args:
        health: answers the probes.
        metrics: answers /metrics.
        refresh: called before metrics are read, to bring gauges up to date.
    """

    async def healthz(_: web.Request) -> web.Response:
        return _verdict(health.ailments())

    async def readyz(_: web.Request) -> web.Response:
        return _verdict([f"not listed yet: {kind}" for kind in health.waiting_for()])

    async def metrics_text(_: web.Request) -> web.Response:
        refresh()
        return web.Response(body=metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics_text)])
    return app


def _verdict(problems: list[str]) -> web.Response:
    return web.Response(status=503 if problems else 200, text="\n".join(problems or ["ok"]) + "\n")
