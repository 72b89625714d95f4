"""Who else uses this store: every owner announces itself in one record of the store, and looks for others there.

Two owners on one bucket, prefix or disk that do not know of each other are a mistake of whoever set them up: each sees
what the other stores, past its own policy. They are told, never stopped. Instances of one owner, such as the replicas
of a deployment, share its name and are no alarm.

Nobody compares clocks: an owner is alive while its announcement changes between two looks. Writers of the record may
overwrite each other; what is lost is announced again with the next beat.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from athens_proxy.errors import ModuleNotFound, StorageError

RECORD: Final = "owner"
BEAT_S: Final = 30.0
SILENT_BEATS: Final = 3
LEAVE_S: Final = 2.0
_MAX_BYTES: Final = 64 * 1024
_LOG = logging.getLogger(__name__)


class Records(Protocol):
    """The store's own records, as `Storage` has them."""

    async def read_record(self, name: str) -> bytes:
        """One record; raises `ModuleNotFound` and `StorageError`."""

    async def write_record(self, name: str, data: bytes) -> None:
        """Replace one record; raises `StorageError`."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """An owner's sign of life.

    Attributes:
        instance: a random id of the process that wrote it last.
        host: where that process runs.
        time: by its clock, for people.
    """

    instance: str
    host: str
    time: str


class StoreOwners:
    """One instance's announcement, and the other owners that it noticed.

    Args:
        records: of the store.
        name: of the owner, equal for all instances that are meant to share the store.
        host: for people who look for the other one.
        on_others: told how many other owners are alive whenever that was looked up.
    """

    def __init__(self, records: Records, name: str, *, host: str, on_others: Callable[[int], None]) -> None:
        self._records = records
        self._name = name
        self._host = host
        self._instance = uuid.uuid4().hex[:12]
        self._on_others = on_others
        self._seen: dict[str, tuple[Announcement, int]] = {}  # the last announcement and for how many beats it stayed
        self._is_first_look = True
        self._cannot_look = False

    async def run(self) -> None:
        """Announce and look until cancelled."""
        while True:
            await self.beat()
            await asyncio.sleep(BEAT_S)

    async def beat(self) -> None:
        """Look who else is alive and announce this instance; a store that fails is tried again with the next beat."""
        try:
            present = await self._present()
            self._look(present)
            silent = {name for name, (_, beats) in self._seen.items() if beats > SILENT_BEATS}
            kept = {name: told for name, told in present.items() if name not in silent}
            time = datetime.now(UTC).isoformat(timespec="microseconds")
            await self._write({**kept, self._name: Announcement(self._instance, self._host, time)})
        except StorageError as error:
            if not self._cannot_look:
                _LOG.warning("%s; whether another owner uses this store is not known until that works", error)
            self._cannot_look = True
            return
        self._cannot_look = False

    async def leave(self) -> None:
        """Take the announcement back, so that a successor of another name finds nobody; best effort."""
        with suppress(StorageError, ModuleNotFound, TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                present = await self._present()
                if present.pop(self._name, None) is not None:
                    await self._write(present)

    def others(self) -> dict[str, Announcement]:
        """The other owners that are alive, by name."""
        return {name: told for name, (told, beats) in self._seen.items() if beats < SILENT_BEATS}

    def describe(self) -> dict[str, Any]:
        """What `/-/config` says about the store."""
        others = [{"owner": name, **asdict(told)} for name, told in sorted(self.others().items())]
        return {"owner": self._name, "instance": self._instance, "otherOwners": others}

    def _look(self, present: dict[str, Announcement]) -> None:
        before = self.others()
        looked: dict[str, tuple[Announcement, int]] = {}
        for name, told in present.items():
            if name == self._name:
                continue
            last, beats = self._seen.get(name, (None, 0))
            if last is None and self._is_first_look:  # it may have died long ago
                looked[name] = (told, SILENT_BEATS)
            else:
                looked[name] = (told, beats + 1 if told == last else 0)
        self._seen = looked
        self._is_first_look = False
        for name, told in self.others().items():
            if name not in before:
                _LOG.warning(
                    "another owner, %.200r on host %.200r, uses this store; give one of them a bucket, prefix or folder"
                    " of its own, or both the same Storage.Owner if they are meant to share it",
                    name,
                    told.host,
                )
        self._on_others(len(self.others()))

    async def _present(self) -> dict[str, Announcement]:
        """The announcements in the record; what is none counts as absent."""
        try:
            data = await self._records.read_record(RECORD)
            owners = json.loads(data)["owners"] if len(data) <= _MAX_BYTES else {}
            return {
                str(name): Announcement(str(told["instance"]), str(told["host"]), str(told["time"]))
                for name, told in owners.items()
            }
        except (ModuleNotFound, ValueError, KeyError, TypeError, AttributeError):
            return {}

    async def _write(self, owners: dict[str, Announcement]) -> None:
        document = {"owners": {name: asdict(told) for name, told in sorted(owners.items())}}
        await self._records.write_record(RECORD, json.dumps(document, indent=2).encode())
