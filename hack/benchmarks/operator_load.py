"""The operator under load: 500 proxies under shared policies that change, 2,000 proxies from a cold start to rest.

Control plane and operator share the machine. Proxies want no pods: what is measured is the operator and the API server,
not a kubelet. Times are taken from what the API server shows, counts from its own metrics.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.operator_fleet import SHARED, Fleet, edit, enforces, fleet, generations, is_ready, place
from benchmarks.operator_plane import MERGE, Api, Operator, plane, until
from benchmarks.report import Figure, Measured, Result, Sense
from demonstration.console import Say
from demonstration.errors import DemoError

NAME: Final = "operator"
FLEET_VARIABLE: Final = "BENCH_FLEET"
IDLE_VARIABLE: Final = "BENCH_IDLE_S"
EDITS: Final = 50
EDITS_WITHIN_S: Final = 0.1
CHILDREN: Final = ("configmaps", "deployments", "services", "serviceaccounts", "persistentvolumeclaims")
STATUS: Final = ("athensproxies/status", "clusterdownloadpolicies/status")
PASSES: Final = 'reconcile_total{kind="AthensProxy",result="ok"}'
_COLD_DEADLINE_S: Final = 150.0
_IDLE_S: Final = 60.0
_QUIET_S: Final = 5.0
_POLL_S: Final = 0.01


def measure(environ: Mapping[str, str], say: Say) -> Sequence[Result]:
    """Policy edits and drift with 500 proxies; then cold start, memory and idle cost with 2,000.

    Args:
        environ: `BENCH_FLEET` chooses one of the two by its number of proxies, `BENCH_IDLE_S` says for how long the
            2,000 are left alone.
        say: tells what is going on.

    Raises:
        DemoError: The control plane or the operator did not come up, or never came to rest.
    """
    chosen = environ.get(FLEET_VARIABLE, "")
    if chosen and chosen not in PARTS:
        raise DemoError(f"{FLEET_VARIABLE}={chosen}: use one of {', '.join(PARTS)}, or none for both")
    parts = [PARTS[chosen]] if chosen else list(PARTS.values())
    return [result for part in parts for result in asyncio.run(part(environ, say))]


async def _storm(environ: Mapping[str, str], say: Say) -> Sequence[Result]:
    async with _running(environ, 500) as (api, operator, proxies):
        operator.start()
        say.passing("500 proxies are taken up")
        await _at_rest(api, proxies, operator)
        results = await _edits(api, operator, proxies, say)
        slowest = {what: await _restored_s(api, repair) for what, repair in _damages()}
        worst = max(slowest.values())
        drift = Measured(NAME, "a deleted or edited child is back, slowest", worst, Sense.AT_MOST, 1.0, "s")
        return [*results, drift, Figure(NAME, "back after", "ours", slowest)]


async def _edits(api: Api, operator: Operator, proxies: Fleet, say: Say) -> Sequence[Result]:
    """The edits, and what came of them."""
    say.passing(f"{EDITS} edits of {SHARED} policies")
    writes, passes = await api.writes(), (await operator.metrics())[PASSES]
    cpu_s, began = operator.cpu_s(), time.monotonic()
    async with asyncio.TaskGroup() as editors:
        for number in range(SHARED):
            editors.create_task(_edit_again(api, number, EDITS // SHARED, EDITS_WITHIN_S))
    edited_s = time.monotonic() - began
    await proxies.until(enforces(await generations(api)), "every proxy has the last edition", 60.0)
    settled_s, settled_cpu_s = time.monotonic() - began, operator.cpu_s() - cpu_s
    await _at_rest(api, proxies, operator)
    written = await api.writes() - writes
    per_proxy = ((await operator.metrics())[PASSES] - passes) / proxies.count
    others = sum(written[name] for name in CHILDREN if name != "configmaps")
    took = {"edits took s": edited_s, "operator's cpu s": settled_cpu_s}
    figures = {**took, **{f"{name} written": float(written[name]) for name in (*CHILDREN, *STATUS)}}
    return [
        Measured(NAME, "50 edits of 5 policies over 500 proxies settled", settled_s, Sense.AT_MOST, 6.0, "s"),
        Measured(NAME, "passes per proxy and debounce window", per_proxy, Sense.AT_MOST, _windows(edited_s)),
        Measured(NAME, "policy files written per proxy", written["configmaps"] / proxies.count, Sense.AT_MOST, 1.0),
        Measured(NAME, "children written that did not change", others, Sense.AT_MOST, 0),
        Figure(NAME, "the edits", "ours", figures),
    ]


def _windows(edited_s: float) -> float:
    """Debounce windows that the edits were spread over; the operator waits at most a second for the end of a burst."""
    return max(1.0, edited_s // 1.0 + 1)


async def _edit_again(api: Api, number: int, times: int, within_s: float) -> None:
    for edition in range(1, times + 1):
        began = time.monotonic()
        await edit(api, number, edition)
        await asyncio.sleep(max(0.0, within_s / times - (time.monotonic() - began)))


def _damages() -> Sequence[tuple[str, tuple[str, str, object]]]:
    """What is done to children, each of another proxy: verb, address and body."""
    wrong = {"selector": {"athensproxy.dev/proxy": "another"}}
    chosen: Sequence[tuple[str, str, str, str, object]] = (
        ("deleted Service", "DELETE", "/api/v1", "services", None),
        ("deleted ServiceAccount", "DELETE", "/api/v1", "serviceaccounts", None),
        ("deleted policy file", "DELETE", "/api/v1", "configmaps", None),
        ("deleted Deployment", "DELETE", "/apis/apps/v1", "deployments", None),
        ("edited Service", "PATCH", "/api/v1", "services", {"spec": wrong}),
        ("edited policy file", "PATCH", "/api/v1", "configmaps", {"data": {"download.hcl": 'mode = "none"'}}),
        ("edited Deployment", "PATCH", "/apis/apps/v1", "deployments", {"spec": {"revisionHistoryLimit": 7}}),
    )
    found = []
    for at, (what, verb, root, plural, body) in enumerate(chosen, start=1):
        namespace, name = place(37 * at)
        child = f"{name}-policy" if plural == "configmaps" else name
        found.append((what, (verb, f"{root}/namespaces/{namespace}/{plural}/{child}", body)))
    return found


async def _restored_s(api: Api, damage: tuple[str, str, object]) -> float:
    """Seconds until the child is as it was, but for what the API server counts."""
    verb, path, body = damage
    before = await api.call("GET", path)
    began = time.monotonic()
    await api.call(verb, path, body, headers=MERGE if verb == "PATCH" else {})
    is_back = partial(_is_back, api, path, before, deleted=verb == "DELETE")
    await until(is_back, f"{path} is back", within_s=30.0, every_s=_POLL_S)
    return time.monotonic() - began


async def _is_back(api: Api, path: str, before: Mapping[str, Any], *, deleted: bool) -> bool:
    try:
        now = await api.call("GET", path)
    except DemoError:
        return False
    if deleted:
        return bool(now["metadata"]["uid"] != before["metadata"]["uid"])
    return all(now.get(part) == before.get(part) for part in ("spec", "data"))


async def _scale(environ: Mapping[str, str], say: Say) -> Sequence[Result]:
    idle_s = float(environ.get(IDLE_VARIABLE) or _IDLE_S)
    async with _running(environ, 2000) as (api, operator, proxies):
        say.passing("2,000 proxies are taken up")
        cold_s = await _timed(_started(operator, proxies))
        cold_cpu_s = operator.cpu_s()
        await _at_rest(api, proxies, operator)
        say.passing(f"left alone for {idle_s:g} s")
        writes, cpu_s = await api.writes(), operator.cpu_s()
        await asyncio.sleep(idle_s)
        idle_writes = _of_operator(await api.writes() - writes)
        idle_percent = (operator.cpu_s() - cpu_s) / idle_s * 100
        memory_mib = operator.memory_mib()
        await operator.stop()
        writes = await api.writes()
        warm_s = await _timed(_looked_at_all(operator, proxies.count))
        warm_writes = _of_operator(await api.writes() - writes)
    figures = {"idle s": idle_s, "cold cpu s": cold_cpu_s, "restart s": warm_s, "writes at restart": float(warm_writes)}
    return [
        Measured(NAME, "cold start of 2,000 proxies until all are Ready", cold_s, Sense.AT_MOST, 60.0, "s"),
        Measured(NAME, "resident memory", memory_mib, Sense.AT_MOST, 300.0, "MiB"),
        Measured(NAME, "processor time at rest", idle_percent, Sense.AT_MOST, 1.0, "% of a core"),
        Measured(NAME, "writes at rest", idle_writes, Sense.AT_MOST, 0),
        Figure(NAME, "beside the bars", "ours", figures),
    ]


async def _started(operator: Operator, proxies: Fleet) -> None:
    operator.start()
    await proxies.until(is_ready, "every proxy is Ready", _COLD_DEADLINE_S)


async def _looked_at_all(operator: Operator, count: int) -> None:
    """Start over what is there already, until every proxy had a pass."""

    async def done() -> bool:
        return (await operator.metrics()).get(PASSES, 0) >= count

    operator.start()
    await until(done, "every proxy had a pass", within_s=_COLD_DEADLINE_S, every_s=0.5)


@asynccontextmanager
async def _running(environ: Mapping[str, str], count: int) -> AsyncIterator[tuple[Api, Operator, Fleet]]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with plane(Path(folder), environ) as (api, operator), fleet(api, count) as proxies:
            yield api, operator, proxies


async def _at_rest(api: Api, proxies: Fleet, operator: Operator) -> None:
    """Wait until every proxy is Ready and nothing was written for a while."""
    await proxies.until(is_ready, f"every proxy is Ready; the operator's log: {operator.log}", _COLD_DEADLINE_S)
    async with asyncio.timeout(_COLD_DEADLINE_S):
        while True:
            before = await api.writes()
            await asyncio.sleep(_QUIET_S)
            if not _of_operator(await api.writes() - before):
                return


def _of_operator(writes: Counter[str]) -> int:
    """Writes that the operator may have made; renewing its Lease is no work on anybody's objects."""
    return sum(writes[name] for name in (*CHILDREN, *STATUS, "pods", "events"))


async def _timed(work: Coroutine[Any, Any, None]) -> float:
    began = time.monotonic()
    await work
    return time.monotonic() - began


PARTS: Final[Mapping[str, Callable[[Mapping[str, str], Say], Coroutine[Any, Any, Sequence[Result]]]]] = {
    "500": _storm,
    "2000": _scale,
}
