"""Comparing what a store holds with the sums it was saved under, and with a checksum database; nothing is repaired.

A store moves a zip that it finds damaged aside by itself, as it does when a client asks: the next request fetches it.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from athens_proxy.checksums.dirhash import mod_hash1
from athens_proxy.checksums.verifier import Sums
from athens_proxy.commands.tally import Tally
from athens_proxy.errors import ChecksumMismatch, InvalidModuleZip, ModuleNotFound, ProxyError
from athens_proxy.modules import ModuleVersion
from athens_proxy.storage.scratch import AUDIT
from athens_proxy.storage.storage import Storage, StoredZip
from athens_proxy.storage.stored_version import copy_zip, sums_on_record
from athens_proxy.storage.sums import Sums as StoreSums
from athens_proxy.storage.zip_damage import zip_damage
from athens_proxy.upstream.zipcheck import checked_zip_h1

_SUMS_UNKNOWN: Final = ""
_SUMS: Final = StoreSums(checked_zip_h1, mod_hash1)


class Outcome(StrEnum):
    """What is known of one version after it was looked at."""

    SOUND = "sound"
    EVICTED = "evicted"  # no zip; its go.mod and the sum that it will be fetched under are there
    UNRECORDED = "unrecorded"  # it can be unpacked, and no sum says what it should be
    DAMAGED = "damaged"
    UNREADABLE = "unreadable"


BAD: Final = frozenset({Outcome.DAMAGED, Outcome.UNREADABLE})


@dataclass(slots=True)
class Verified(Tally[Outcome]):
    """What a run has found so far.

    Attributes:
        vouched: versions that the checksum database was asked about and vouches for.
    """

    vouched: int = 0


OnProgress = Callable[[Verified], None]
Vouch = Callable[[ModuleVersion, Sums], Awaitable[bool]]


class _Damaged(Exception):
    """The text says how."""


class Verifying:
    """One run.

    Args:
        storage: is read.
        scratch: a folder for copies of zips that are no files of this machine.
        vouch: asks a checksum database; True if it vouches for the sums, False if it is not to be asked about them,
            `ChecksumMismatch` if it has others. None to ask nobody.
        on_progress: told after each version.
    """

    def __init__(self, storage: Storage, scratch: Path, *, vouch: Vouch | None, on_progress: OnProgress) -> None:
        self._storage = storage
        self._scratch = scratch
        self._vouch = vouch
        self._on_progress = on_progress
        self._tally = Verified.of(Outcome)

    async def run(self, versions: Sequence[ModuleVersion], *, workers: int) -> Verified:
        """Look at these versions, several at a time."""
        self._tally.found = len(versions)
        self._on_progress(self._tally)
        waiting = iter(versions)
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work(waiting))
        return self._tally

    async def _work(self, waiting: Iterable[ModuleVersion]) -> None:
        for wanted in waiting:
            try:
                outcome = await self._outcome(wanted)
            except (_Damaged, ChecksumMismatch, InvalidModuleZip) as error:
                outcome = Outcome.DAMAGED
                self._tally.failures.append((wanted, str(error)))
            except ProxyError as error:
                outcome = Outcome.UNREADABLE
                self._tally.failures.append((wanted, str(error)))
            self._tally.outcomes[outcome] += 1
            self._on_progress(self._tally)

    async def _outcome(self, wanted: ModuleVersion) -> Outcome:
        zip_recorded, mod_recorded = await sums_on_record(self._storage, wanted)
        sizes = await self._storage.sizes(wanted)
        mod_h1 = mod_hash1(await self._read_mod(wanted))
        if mod_recorded not in (_SUMS_UNKNOWN, mod_h1):
            raise _Damaged(f"its go.mod has {mod_h1} where {mod_recorded} was saved")
        zip_h1 = zip_recorded
        if sizes.zip_bytes is not None:
            zip_h1 = await self._zip_h1(wanted, zip_recorded)
            self._tally.copied_bytes += sizes.zip_bytes
        if zip_h1 and self._vouch is not None and await self._vouch(wanted, Sums(zip_h1, mod_h1)):
            self._tally.vouched += 1
        if sizes.zip_bytes is None:
            return Outcome.EVICTED
        return Outcome.SOUND if zip_recorded else Outcome.UNRECORDED

    async def _read_mod(self, wanted: ModuleVersion) -> bytes:
        try:
            return await self._storage.mod(wanted)
        except ModuleNotFound as error:
            raise _Damaged(f"its go.mod is missing or damaged: {error}") from error

    async def _zip_h1(self, wanted: ModuleVersion, recorded: str) -> str:
        """The sum of the stored zip, "" for one that cannot have any but is what Athens saved."""
        try:
            opened = await self._storage.open_zip(wanted)
        except ModuleNotFound as error:
            raise _Damaged(f"its zip is damaged: {error}") from error
        async with opened as stored:
            with tempfile.TemporaryDirectory(dir=self._scratch, prefix=AUDIT) as folder:
                path = await _as_file(stored, Path(folder) / "stored.zip")
                return await asyncio.to_thread(_compared, path, wanted, recorded)


async def _as_file(stored: StoredZip, copy: Path) -> Path:
    """The file of a zip on this machine, else a copy."""
    descriptor = getattr(stored, "descriptor", None)
    if descriptor is not None:
        return Path(f"/proc/self/fd/{descriptor}")
    await copy_zip(stored, copy)
    return copy


def _compared(path: Path, wanted: ModuleVersion, recorded: str) -> str:
    try:
        found = checked_zip_h1(path, wanted)
    except InvalidModuleZip:
        found = _SUMS_UNKNOWN
    if recorded and found != recorded:
        raise _Damaged(f"its zip has {found or 'no valid content'} where {recorded} was saved")
    if not found and (reason := zip_damage(path, wanted, recorded_h1="", sums=_SUMS)):
        raise _Damaged(f"its zip is damaged: {reason}")
    return found


def sample(versions: Sequence[ModuleVersion], count: int) -> list[ModuleVersion]:
    """So many of the versions, chosen by chance; all of them if there are no more."""
    if count >= len(versions):
        return list(versions)
    return random.sample(versions, count)
