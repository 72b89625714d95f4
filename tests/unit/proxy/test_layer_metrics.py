"""What the layers report: waits for locks, queues, the volume of the store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from athens_proxy.layer_metrics import LayerMetrics
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.stash.lock import HeldBy, Lease
from athens_proxy.stash.locked import Locked
from athens_proxy.storage.memory import MemoryStorage
from athens_proxy.telemetry import Telemetry
from athens_proxy.tracing.exporter import Exporter
from athens_proxy.tracing.kept_answers import KeptAnswers
from athens_proxy.tracing.otlp import span_bytes
from athens_proxy.tracing.spans import FinishedSpan, KeptAnswer
from athens_proxy.tracing.tracer import Sampler, Tracer
from athens_proxy.tracing.wrapping import Traced
from athens_proxy.volume_metrics import VolumeMetrics
from athens_proxy.web.top import Top
from support.virtual_time import in_virtual_time

WANTED = ModuleVersion(ModulePath("example.com/m"), "v1.0.0")
DEADLINE_S = 20.0


class Busy:
    """A lock service whose lock somebody else has for a second."""

    name, lease_s = "busy", 15.0

    async def check(self) -> None: ...

    async def acquire(self, key: str) -> Lease | HeldBy:
        return Lease(key, "ours") if asyncio.get_running_loop().time() >= 1.0 else HeldBy("somebody")

    async def renew(self, lease: Lease) -> bool:
        return True

    async def release(self, lease: Lease) -> None: ...

    async def close(self) -> None: ...


class Fetch:
    async def stash(self, wanted: ModuleVersion, *, upstream: str = "") -> ModuleVersion:
        return wanted


class Nowhere:
    """A sender that keeps nothing."""

    address = "nowhere"

    def encoded(self, span: FinishedSpan) -> bytes:
        return span_bytes(span)

    def encoded_kept(self, answers: Sequence[KeptAnswer]) -> list[bytes]:
        return [self.encoded(kept.finished) for kept in answers]

    async def send(self, spans: list[bytes]) -> None: ...

    async def close(self) -> None: ...


def scraped(*collectors: LayerMetrics | VolumeMetrics) -> dict[str, float]:
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    lines = generate_latest(registry).decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


async def stash_behind(telemetry: Telemetry) -> None:
    locked = Locked(
        telemetry.stash("inner")(Fetch()),
        locks=Busy(),
        storage=telemetry.storage(MemoryStorage()),
        wait_at_most_s=60,
        on_lock=lambda result: None,
        waiting=telemetry.lock,
    )
    await telemetry.stash("stash")(locked).stash(WANTED)


def test_waits_for_locks_are_measured_with_and_without_traces() -> None:
    metrics, spans = LayerMetrics(), list[FinishedSpan]()
    sampler = Sampler(1.0, always=False)
    tracer = Tracer(sampler, emit=spans.append, is_full=lambda: False, on_dropped=lambda: None)
    exporter = Exporter(Nowhere(), on_spans=metrics.spans)
    top = Top(prefix="")

    in_virtual_time(stash_behind(Telemetry(metrics, top)))
    in_virtual_time(stash_behind(Traced(metrics, top, tracer, KeptAnswers(sampler, exporter))))

    assert scraped(metrics)["athens_lock_wait_seconds_count"] == 2
    ids = {span.context.span_id: span.name for span in spans}
    assert {(span.name, ids.get(span.parent_id, "")) for span in spans} == {
        ("stash", ""),
        ("lock", "stash"),
        ("storage.mod", "stash"),
        ("inner", "stash"),
    }


def test_queues_tell_what_they_hold_when_somebody_looks() -> None:
    metrics, waiting = LayerMetrics(), ["a"]
    metrics.queue("zips", lambda: len(waiting))
    waiting.append("b")

    assert scraped(metrics)['athens_queue_depth{queue="zips"}'] == 2


def seen(root: Path, wanted: bool) -> dict[str, float]:
    """A scrape once it has the volume, or has not."""
    metrics, deadline = VolumeMetrics(root), time.monotonic() + DEADLINE_S
    while bool(found := scraped(metrics)) is not wanted:
        assert time.monotonic() < deadline, found
    return found


def test_the_volume_of_the_store_is_told(tmp_path: Path) -> None:
    found = seen(tmp_path, wanted=True)

    assert 0 < found["athens_store_volume_free_bytes"] <= found["athens_store_volume_bytes"]


def test_a_store_that_is_gone_has_no_volume_and_fails_no_scrape(tmp_path: Path) -> None:
    assert seen(tmp_path / "gone", wanted=False) == {}
