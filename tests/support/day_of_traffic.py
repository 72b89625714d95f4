"""Hours of traffic on a bounded store in moments: the store is numbers, its clock is moved by hand."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from athens_proxy.checksums.dirhash import mod_hash1
from athens_proxy.errors import ModuleNotFound
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.retention.exchange import LedgerExchange
from athens_proxy.retention.ledger import Ledger
from athens_proxy.retention.plan import Eviction, Limits
from athens_proxy.retention.retained import RetainedStorage
from athens_proxy.retention.room import Room
from athens_proxy.storage.forwarding import ForwardingStorage
from athens_proxy.storage.memory import MemoryStorage, MemoryZip
from athens_proxy.storage.storage import FetchedModule, StoredZip
from athens_proxy.storage.sums import Sums
from athens_proxy.upstream.zipcheck import checked_zip_h1

ZIP_BYTES = 100_000
SMALL_BYTES = 500
_NOTHING = Path("/nonexistent")


class _Numbers(ForwardingStorage):
    """Remembers which zips there are, and no bytes of them."""

    def __init__(self) -> None:
        super().__init__(MemoryStorage())
        self.zips: set[ModuleVersion] = set()

    async def open_zip(self, wanted: ModuleVersion) -> StoredZip:
        if wanted not in self.zips:
            raise ModuleNotFound(f"not found: {wanted}")
        return MemoryZip(b"")

    async def save(self, fetched: FetchedModule) -> None:
        self.zips.add(fetched.wanted)

    async def delete_zip(self, wanted: ModuleVersion) -> None:
        self.zips.discard(wanted)

    async def read_record(self, name: str) -> bytes:
        return b"h1:x\nh1:y\n" if name.startswith("h1/") else await super().read_record(name)


class DayOfTraffic:
    """A store of which a fifth is asked for four times out of five.

    Args:
        versions: how many are asked for.
        room_for: how many of them fit.
    """

    def __init__(self, *, versions: int, room_for: int) -> None:
        self.now_s = 0.0
        self.hits = self.requests = self.evictions = 0
        self._wanted = [_version(number) for number in range(versions)]
        self._random = random.Random(24)
        self._store = _Numbers()
        self.ledger = Ledger(clock=lambda: self.now_s)
        limits = Limits(max_bytes=room_for * (ZIP_BYTES + SMALL_BYTES) + versions * 1_000)
        self._exchange = LedgerExchange(self._store, self.ledger, every_bytes=0)
        self._room = Room(
            self._store,
            self.ledger,
            limits,
            may_go=lambda _: True,
            sums=Sums(checked_zip_h1, mod_hash1),
            on_eviction=self._evicted,
            scratch=_NOTHING,
        )
        self._storage = RetainedStorage(self._store, self.ledger, self._room)

    async def run(self, *, hours: float, requests: int, on_hour: Callable[[], None] = lambda: None) -> None:
        """So many requests spread over so many hours; the ledger is exchanged every five minutes of them."""
        pause_s = hours * 3600 / requests
        exchanged_s = told_s = self.now_s
        for _ in range(requests):
            self.now_s += pause_s
            await self._request(self._chosen())
            if self.now_s - exchanged_s >= 300:
                exchanged_s = self.now_s
                await self._exchange.exchange()
            if self.now_s - told_s >= 3600:
                told_s = self.now_s
                on_hour()

    def _chosen(self) -> ModuleVersion:
        popular = len(self._wanted) // 5
        if self._random.random() < 0.8:
            return self._wanted[self._random.randrange(popular)]
        return self._wanted[self._random.randrange(popular, len(self._wanted))]

    async def _request(self, wanted: ModuleVersion) -> None:
        self.requests += 1
        try:
            async with await self._storage.open_zip(wanted):
                self.hits += 1
        except ModuleNotFound:
            await self._storage.save(_fetched(wanted))
            async with await self._storage.open_zip(wanted):
                pass

    def _evicted(self, eviction: Eviction[ModuleVersion]) -> None:
        self.evictions += 1


def _version(number: int) -> ModuleVersion:
    return ModuleVersion.parse(ModulePath.parse(f"example.com/team{number % 100}/m{number}"), "v1.0.0")


def _fetched(wanted: ModuleVersion) -> FetchedModule:
    return FetchedModule(
        wanted=wanted,
        info=b"i" * (SMALL_BYTES // 2),
        mod=b"m" * (SMALL_BYTES // 2),
        zip_path=_NOTHING,
        zip_size_bytes=ZIP_BYTES,
        zip_h1="h1:x",
        mod_h1="h1:y",
    )
