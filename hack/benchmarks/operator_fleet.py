"""Many AthensProxies under five shared policies, followed by a watch, and a stand-in for the Deployment controller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from benchmarks.operator_plane import MERGE, Api
from demonstration.errors import DemoError

Body = Mapping[str, Any]
GROUP: Final = "/apis/athensproxy.dev/v1beta1"
POLICIES: Final = f"{GROUP}/clusterdownloadpolicies"
PROXIES: Final = f"{GROUP}/athensproxies"
SHARED: Final = 5
_DEPLOYMENTS: Final = "/apis/apps/v1/deployments"
_IN_A_NAMESPACE: Final = 50
_AT_ONCE: Final = 20


class Fleet:
    """What all proxies say of themselves, as a watch tells it.

    Args:
        count: how many there are.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._bodies: dict[tuple[str, str], Body] = {}
        self._holds: Callable[[Body], bool] = lambda _: True
        self._pending: set[tuple[str, str]] = set()
        self._arrived = asyncio.Event()

    async def follow(self, api: Api) -> None:
        """Keep up until cancelled."""
        async for body in api.watch(PROXIES):
            key = (body["metadata"]["namespace"], body["metadata"]["name"])
            self._bodies[key] = body
            (self._pending.discard if self._holds(body) else self._pending.add)(key)
            self._look()

    async def until(self, holds: Callable[[Body], bool], what: str, within_s: float) -> None:
        """Wait until something holds for every proxy.

        Raises:
            DemoError: It did not in time.
        """
        self._holds = holds
        self._pending = {key for key, body in self._bodies.items() if not holds(body)}
        self._arrived.clear()
        self._look()
        try:
            async with asyncio.timeout(within_s):
                await self._arrived.wait()
        except TimeoutError:
            late = sorted(self._pending)[:1]
            seen = self._bodies[late[0]].get("status") if late else f"{len(self._bodies)} proxies"
            raise DemoError(
                f"{what}: {len(self._pending)} of {self.count} not in {within_s:g} s, {late}: {seen}"
            ) from None

    def _look(self) -> None:
        if not self._pending and len(self._bodies) == self.count:
            self._arrived.set()


def place(number: int) -> tuple[str, str]:
    """Namespace and name of a proxy."""
    return f"team-{number // _IN_A_NAMESPACE}", f"go-{number}"


def is_ready(body: Body) -> bool:
    """Whether the status speaks of this generation and says Ready."""
    status = body.get("status") or {}
    ready = any((entry["type"], entry["status"]) == ("Ready", "True") for entry in status.get("conditions") or ())
    return ready and status.get("observedGeneration") == body["metadata"]["generation"]


def enforces(generations: Mapping[str, int]) -> Callable[[Body], bool]:
    """Whether a proxy's file was made of these generations of the shared policies, and all is well."""

    def holds(body: Body) -> bool:
        sources = ((body.get("status") or {}).get("policy") or {}).get("sources") or ()
        return {source["name"]: source["generation"] for source in sources} == generations and is_ready(body)

    return holds


@asynccontextmanager
async def fleet(api: Api, count: int) -> AsyncIterator[Fleet]:
    """Proxies that want no pods, and whoever answers for the Deployment controller, until the end of the block."""
    await _each(api.call("POST", POLICIES, _policy(number)) for number in range(SHARED))
    namespaces = sorted({place(number)[0] for number in range(count)})
    await _each(api.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}}) for name in namespaces)
    await _each(api.call("POST", f"{GROUP}/namespaces/{place(at)[0]}/athensproxies", _proxy(at)) for at in range(count))
    found = Fleet(count)
    running = [asyncio.create_task(part) for part in (found.follow(api), _roll_out(api))]
    try:
        yield found
    finally:
        for task in running:
            task.cancel()
        ended = await asyncio.gather(*running, return_exceptions=True)
    for problem in ended:
        if isinstance(problem, Exception):
            raise problem


async def edit(api: Api, number: int, edition: int) -> None:
    """One edit of a shared policy."""
    await api.call("PATCH", f"{POLICIES}/shared-{number}", {"spec": {"rules": _rules(number, edition)}}, headers=MERGE)


async def generations(api: Api) -> dict[str, int]:
    """The present generation of every shared policy."""
    items = (await api.call("GET", POLICIES))["items"]
    return {item["metadata"]["name"]: item["metadata"]["generation"] for item in items}


async def _roll_out(api: Api) -> None:
    """Say of every Deployment that its controller has seen it; without pods there is nothing else to say."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def seen(path: str, generation: int) -> None:
        async with slots:
            await api.call("PATCH", f"{path}/status", {"status": {"observedGeneration": generation}}, headers=MERGE)

    async with asyncio.TaskGroup() as tasks:
        async for body in api.watch(_DEPLOYMENTS):
            metadata = body["metadata"]
            behind = (body.get("status") or {}).get("observedGeneration", 0) < metadata["generation"]
            if behind and "deletionTimestamp" not in metadata:
                path = f"/apis/apps/v1/namespaces/{metadata['namespace']}/deployments/{metadata['name']}"
                tasks.create_task(seen(path, metadata["generation"]))


def _policy(number: int) -> Body:
    spec = {"enforcement": "Default", "namespaceSelector": {}, "proxySelector": {}, "rules": _rules(number, 0)}
    return {
        "apiVersion": "athensproxy.dev/v1beta1",
        "kind": "ClusterDownloadPolicy",
        "metadata": {"name": f"shared-{number}"},
        "spec": spec,
    }


def _rules(number: int, edition: int) -> list[dict[str, Any]]:
    """Ten rules, of which the first changes with every edition."""
    patterns = [f"example.com/edition-{number}-{edition}", *(f"example.com/kept-{number}-{at}" for at in range(9))]
    return [{"name": f"rule-{at}", "patterns": [pattern], "mode": "deny"} for at, pattern in enumerate(patterns)]


def _proxy(number: int) -> Body:
    namespace, name = place(number)
    return {
        "apiVersion": "athensproxy.dev/v1beta1",
        "kind": "AthensProxy",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"replicas": 0, "storage": {"type": "memory", "memory": {}}},
    }


async def _each(calls: Iterable[Any]) -> None:
    """Make all calls, some at once."""
    waiting = iter(calls)

    async def some() -> None:
        for call in waiting:
            await call

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_AT_ONCE):
            tasks.create_task(some())
