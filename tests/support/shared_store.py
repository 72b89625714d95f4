"""Several of our processes on one disk store, and many clients that want the same new versions at the same time."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import aiohttp

from support.goproxy_server import GoProxyServer
from support.modules_fixture import SampleModule
from support.proxy_process import ModuleProxy

IS_FULL = bool(os.environ.get("ATHENS_TEST_FULL"))
CLIENTS = 64
# As many clients want each version either way: thirteen, at nearly the same time.
VERSIONS, VERSIONS_PER_CLIENT = (200, 40) if IS_FULL else (60, 12)
POLL_S = 0.002
DEADLINE_S = 30.0
FILES = ("info", "mod", "zip")


def modules(count: int = VERSIONS) -> list[SampleModule]:
    """That many versions of some modules."""
    return [SampleModule(f"example.com/m{number % 20}", f"v1.{number}.0") for number in range(count)]


@dataclass(frozen=True)
class Outcome:
    """What a run gave.

    Attributes:
        statuses: how often each status was answered.
        fetches: how often each version's zip was asked of the upstream.
        elapsed_s: of all requests.
    """

    statuses: Counter[int]
    fetches: Counter[str]
    elapsed_s: float

    @property
    def surplus(self) -> int:
        """Fetches beyond the first of each version."""
        return self.fetches.total() - len(self.fetches)


async def ask_everything(
    proxies: Sequence[ModuleProxy],
    upstream: GoProxyServer,
    wanted: Sequence[SampleModule],
    *,
    at_half: Callable[[], Awaitable[None]] | None = None,
    at_once: int = CLIENTS,
) -> Outcome:
    """Every client asks for files of `VERSIONS_PER_CLIENT` versions, chosen by chance as the proxy is.

    Args:
        proxies: share a store.
        upstream: behind them; what it was asked before is forgotten.
        wanted: the versions.
        at_half: called once when half of the versions were fetched.
        at_once: how many requests are on their way at most, for servers that many at a time would only overload.
    """
    upstream.requests.clear()
    statuses: Counter[int] = Counter()
    begun, turns = time.monotonic(), asyncio.Semaphore(at_once)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        clients = [
            asyncio.create_task(_client(session, proxies, wanted, statuses, seed, turns)) for seed in range(CLIENTS)
        ]
        if at_half is not None:
            await _half_fetched(upstream, len(wanted))
            await at_half()
        await asyncio.gather(*clients)
    return Outcome(statuses, _fetches(upstream), time.monotonic() - begun)


async def _client(
    session: aiohttp.ClientSession,
    proxies: Sequence[ModuleProxy],
    wanted: Sequence[SampleModule],
    statuses: Counter[int],
    seed: int,
    turns: asyncio.Semaphore,
) -> None:
    chance = random.Random(seed)
    for module in chance.sample(wanted, VERSIONS_PER_CLIENT):
        proxy, extension = chance.choice(proxies), chance.choice(FILES)
        target = f"{proxy.url}/{module.wanted.path.escaped}/@v/{module.wanted.escaped_version}.{extension}"
        async with turns, session.get(target) as response:
            await response.read()
            statuses[response.status] += 1


async def _half_fetched(upstream: GoProxyServer, count: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while len(_fetches(upstream)) < count / 2:
        assert time.monotonic() < deadline, f"only {len(_fetches(upstream))} versions were fetched"
        await asyncio.sleep(POLL_S)


def _fetches(upstream: GoProxyServer) -> Counter[str]:
    return Counter({path: count for path, count in upstream.requests.items() if path.endswith(".zip")})
