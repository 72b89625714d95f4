"""When a new policy is programmed: soon after one edit, and at most twice while edits pour in, in virtual time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from athens_operator.manifests import Manifest
from athens_operator.metrics import Metrics
from athens_operator.propagation import HELD_AT_MOST_S, SETTLED_S, Propagation
from athens_operator.readback import Listener, Target
from athens_operator.spec import AthensProxy
from athens_operator.status_observed import PolicyState, Readback
from support.fake_cluster import FakeCluster
from support.proxies import proxy
from support.virtual_time import in_virtual_time

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
PASS_S = 1.0  # while edits pour in, the queue runs one pass a second


class Kubelet(FakeCluster):
    """A pod whose file is refreshed when the pod is annotated, as the kubelet does."""

    def __init__(self) -> None:
        super().__init__()
        self.file = ""
        self.enforced: list[str] = []
        self.at: list[float] = []
        self.pod: Manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"namespace": "a", "name": "go-1"},
            "spec": {"containers": [{"name": "athens"}]},
            "status": {"phase": "Running", "podIP": "10.0.0.1"},
        }
        self.pod = self.put(self.pod)

    async def apply(self, manifest: Manifest, **options: Any) -> Manifest:
        self.enforced.append(self.file)
        self.at.append(asyncio.get_running_loop().time())
        return await super().apply(manifest, **options)

    async def read(self, pod: Manifest, target: Target) -> Readback:
        return Readback(self.enforced[-1] if self.enforced else "sha256:first")


class Bench:
    """Passes over one proxy with one pod."""

    def __init__(self) -> None:
        self.kubelet = Kubelet()
        self.propagation = Propagation(self.kubelet, Listener(self.kubelet), Metrics())
        body = proxy("a")
        self.proxy = AthensProxy.parse({**body, "metadata": {**body["metadata"], "uid": "u", "generation": 1}})

    async def run(self, digest: str) -> float | None:
        """One pass; seconds until the next one that the propagation itself asks for."""
        self.kubelet.file = digest
        await self.propagation.advance(
            self.proxy, [self.kubelet.pod], PolicyState(text=digest, digest=digest, applied_at=BEGAN)
        )
        return self.propagation.next_look_s(self.proxy)

    async def until_enforced(self, digest: str) -> None:
        """As many passes as are asked for."""
        again_s = await self.run(digest)
        if again_s is not None:
            await asyncio.sleep(again_s)
            await self.until_enforced(digest)


def test_one_edit_is_programmed_once_and_within_seconds() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.until_enforced("sha256:first")
        edited_at = asyncio.get_running_loop().time()

        await bench.until_enforced("sha256:second")

        assert bench.kubelet.enforced == ["sha256:second"]
        assert bench.kubelet.at[0] - edited_at <= SETTLED_S + 0.1

    in_virtual_time(main())


def test_ten_seconds_of_edits_are_programmed_twice_and_the_last_one_wins() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.until_enforced("sha256:first")
        for number in range(10):
            await bench.run(f"sha256:{number}")
            await asyncio.sleep(PASS_S)

        await bench.until_enforced("sha256:last")

        assert len(bench.kubelet.enforced) == 2
        assert bench.kubelet.enforced[-1] == "sha256:last"

    in_virtual_time(main())


def test_no_edit_waits_longer_than_the_bound_while_others_follow() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.until_enforced("sha256:first")
        for number in range(60):
            await bench.run(f"sha256:{number}")
            await asyncio.sleep(PASS_S)

        waits = [later - earlier for earlier, later in zip([0.0, *bench.kubelet.at], bench.kubelet.at, strict=False)]
        assert max(waits) <= HELD_AT_MOST_S + 2 * PASS_S

    in_virtual_time(main())


def test_what_is_behind_when_the_operator_starts_is_programmed_at_once() -> None:
    async def main() -> None:
        bench = Bench()

        await bench.run("sha256:unseen")

        assert bench.kubelet.enforced == ["sha256:unseen"]

    in_virtual_time(main())


def test_an_edit_long_after_a_burst_waits_for_its_own_end_only() -> None:
    async def main() -> None:
        bench = Bench()
        for digest in ("sha256:first", "sha256:second"):
            await bench.until_enforced(digest)
        await asyncio.sleep(3600)
        programmed = len(bench.kubelet.enforced)

        await bench.run("sha256:third")
        await asyncio.sleep(SETTLED_S / 2)
        await bench.run("sha256:fourth")
        held = len(bench.kubelet.enforced)
        await bench.until_enforced("sha256:fourth")

        assert held == programmed
        assert bench.kubelet.enforced[programmed:] == ["sha256:fourth"]

    in_virtual_time(main())
