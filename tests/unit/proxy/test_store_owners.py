"""Two owners of one store notice each other; what shares a name, has left or has died is no alarm."""

from __future__ import annotations

import json

import pytest

from athens_proxy.errors import ModuleNotFound, StorageFull
from athens_proxy.storage.memory import MemoryStorage
from athens_proxy.storage.owner import RECORD, SILENT_BEATS, StoreOwners


class Instance:
    """One process; `counts` is what its metric was set to."""

    def __init__(self, storage: MemoryStorage, name: str, host: str = "host") -> None:
        self.counts: list[int] = []
        self.owners = StoreOwners(storage, name, host=host, on_others=self.counts.append)

    async def beat(self) -> list[str]:
        await self.owners.beat()
        return sorted(self.owners.others())


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


async def test_two_owners_notice_each_other_and_say_where_the_other_one_runs(
    storage: MemoryStorage, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = Instance(storage, "team-a", "host-a"), Instance(storage, "team-b", "host-b")

    rounds = [(await one.beat(), await two.beat()) for _ in range(2)]

    assert rounds == [([], []), (["team-b"], ["team-a"])]
    (other,) = one.owners.describe()["otherOwners"]
    assert (other["owner"], other["host"], other["instance"]) == (
        "team-b",
        "host-b",
        two.owners.describe()["instance"],
    )
    assert one.counts == [0, 1]
    assert "another owner, 'team-b' on host 'host-b', uses this store" in caplog.text


async def test_replicas_of_one_owner_are_no_alarm_and_all_of_them_notice_another_one(storage: MemoryStorage) -> None:
    replicas = [Instance(storage, "team-a") for _ in range(3)]
    for _ in range(3):
        assert [await replica.beat() for replica in replicas] == [[], [], []]

    stranger = Instance(storage, "team-b")
    await stranger.beat()

    assert [await replica.beat() for replica in replicas] == [["team-b"]] * 3


async def test_an_owner_that_died_long_ago_is_no_alarm_and_is_forgotten(storage: MemoryStorage) -> None:
    await Instance(storage, "dead").beat()
    one = Instance(storage, "team-a")

    assert [await one.beat() for _ in range(2)] == [[], []]

    assert list(json.loads(await storage.read_record(RECORD))["owners"]) == ["team-a"]


async def test_the_alarm_ends_some_beats_after_the_other_owner(storage: MemoryStorage) -> None:
    one, two = Instance(storage, "team-a"), Instance(storage, "team-b")
    await one.beat()
    await two.beat()

    seen = [await one.beat() for _ in range(SILENT_BEATS + 1)]

    assert seen == [["team-b"]] * SILENT_BEATS + [[]]
    assert one.counts[-1] == 0


async def test_a_successor_of_another_name_finds_nobody_once_the_predecessor_has_left(storage: MemoryStorage) -> None:
    old, new = Instance(storage, "pod-1"), Instance(storage, "pod-2")
    await old.beat()
    await new.beat()
    await old.owners.leave()

    assert await new.beat() == []


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"owners": [1]}', b'{"owners": {"x": {}}}', b" " * 70_000])
async def test_a_record_that_is_none_is_replaced(storage: MemoryStorage, data: bytes) -> None:
    await storage.write_record(RECORD, data)

    assert await Instance(storage, "team-a").beat() == []

    assert list(json.loads(await storage.read_record(RECORD))["owners"]) == ["team-a"]


class FailingRecords:
    """A store that cannot be written."""

    async def read_record(self, name: str) -> bytes:
        raise ModuleNotFound(f"no {name}")

    async def write_record(self, name: str, data: bytes) -> None:
        raise StorageFull(f"write record {name}: no space is left")


async def test_a_store_that_fails_is_no_error_and_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    owners = StoreOwners(FailingRecords(), "team-a", host="host", on_others=lambda _: None)

    for _ in range(3):
        await owners.beat()
    await owners.leave()

    assert len(caplog.records) == 1
    assert "no space is left" in caplog.text
