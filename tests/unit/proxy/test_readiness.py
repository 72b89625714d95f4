"""What probes are told about a store: an answer that is kept, and never a wait for a store that is slow."""

from __future__ import annotations

import asyncio

from athens_proxy.errors import StorageError
from athens_proxy.storage.memory import MemoryStorage
from athens_proxy.web.readiness import CHECK_TIMEOUT_S, KEPT_S, PATIENCE_S, Readiness
from support.virtual_time import in_virtual_time


class Store(MemoryStorage):
    """A store whose check takes as long as a test says, and fails if it says so."""

    def __init__(self) -> None:
        super().__init__()
        self.checks = 0
        self.takes_s = 0.0
        self.says = ""

    async def check(self) -> None:
        self.checks += 1
        await asyncio.sleep(self.takes_s)
        if self.says:
            raise StorageError(self.says)


def ready(store: Store) -> Readiness:
    return Readiness(store, clock=asyncio.get_running_loop().time)


def test_an_answer_is_kept_for_five_seconds() -> None:
    async def main() -> None:
        store = Store()
        readiness = ready(store)
        for _ in range(10):
            assert await readiness.problem() == ""
        assert store.checks == 1
        await asyncio.sleep(KEPT_S)
        assert await readiness.problem() == ""
        assert store.checks == 2

    in_virtual_time(main())


def test_a_store_that_is_slow_keeps_its_last_answer_and_no_probe_waits() -> None:
    async def main() -> None:
        store = Store()
        readiness = ready(store)
        await readiness.problem()
        store.takes_s = CHECK_TIMEOUT_S - 1
        await asyncio.sleep(KEPT_S)

        begun = asyncio.get_running_loop().time()
        assert await asyncio.gather(*(readiness.problem() for _ in range(5))) == [""] * 5
        assert asyncio.get_running_loop().time() - begun <= PATIENCE_S
        await asyncio.sleep(CHECK_TIMEOUT_S)
        assert await readiness.problem() == ""
        assert store.checks == 2

    in_virtual_time(main())


def test_a_store_that_does_not_answer_is_told_after_the_time_out_and_forgiven_when_it_does() -> None:
    async def main() -> None:
        store = Store()
        readiness = ready(store)
        await readiness.problem()
        store.takes_s = 3600
        await asyncio.sleep(KEPT_S)
        assert await readiness.problem() == ""
        await asyncio.sleep(CHECK_TIMEOUT_S)
        assert "does not answer within 4 s" in await readiness.problem()

        store.takes_s = 0.0
        await asyncio.sleep(KEPT_S)
        assert await readiness.problem() == ""

    in_virtual_time(main())


def test_a_store_that_fails_is_told_at_once_with_its_reason() -> None:
    async def main() -> None:
        store = Store()
        readiness = ready(store)
        assert await readiness.problem() == ""
        store.says = "s3 bucket modules: no"
        await asyncio.sleep(KEPT_S)

        assert await readiness.problem() == "s3 bucket modules: no"

    in_virtual_time(main())


def test_a_process_whose_store_never_answered_is_not_ready_and_closes_at_once() -> None:
    async def main() -> None:
        store = Store()
        store.takes_s = 3600
        readiness = ready(store)

        assert "has not answered yet" in await readiness.problem()
        await readiness.aclose()

    in_virtual_time(main())
