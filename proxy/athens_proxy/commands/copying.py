"""Copying one store into another: what is there already stays, what was copied is read back and compared by `h1:`.

Nothing is remembered between two runs: each looks at what the target holds, so a run that was cut off is continued by
the next one, and a complete copy is left alone.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Final

from athens_proxy.checksums.dirhash import mod_hash1
from athens_proxy.commands.tally import Tally
from athens_proxy.download.first_seen import record_name
from athens_proxy.errors import ChecksumMismatch, ModuleNotFound, ProxyError, StorageError, StorageFull
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.storage.scratch import COPY
from athens_proxy.storage.storage import FetchedModule, Storage
from athens_proxy.storage.stored_version import copy_zip, sums_on_record
from athens_proxy.upstream.zipcheck import checked_zip_h1

PAGE: Final = 1000
STOP_AFTER: Final = 20  # failures in a row: then it is a store that fails, not a version


class Outcome(StrEnum):
    """What became of one version."""

    COPIED = "copied"
    PRESENT = "present"
    FAILED = "failed"


Copied = Tally[Outcome]
OnProgress = Callable[[Copied], None]


class Copying:
    """One run.

    Args:
        source: is only read.
        target: gets what it lacks.
        scratch: a folder for zips on their way; best on the target's file system.
        on_progress: told after each version.
    """

    def __init__(self, source: Storage, target: Storage, scratch: Path, *, on_progress: OnProgress) -> None:
        self._source = source
        self._target = target
        self._scratch = scratch
        self._on_progress = on_progress
        self._tally = Tally.of(Outcome)
        self._failed_in_a_row = 0

    async def run(self, versions: list[ModuleVersion], *, workers: int) -> Copied:
        """Copy these versions, several at a time; failures are counted, not raised."""
        self._tally.found = len(versions)
        self._on_progress(self._tally)
        waiting = iter(versions)
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work(waiting))
        if not self._tally.stopped:
            await self._carry_first_seen({wanted.path for wanted in versions})
        return self._tally

    async def _work(self, waiting: Iterable[ModuleVersion]) -> None:
        for wanted in waiting:
            if self._tally.stopped:
                return
            try:
                outcome = await self._one(wanted)
                self._failed_in_a_row = 0
            except ProxyError as error:
                outcome = Outcome.FAILED
                self._note_failure(wanted, error)
            self._tally.outcomes[outcome] += 1
            self._on_progress(self._tally)

    def _note_failure(self, wanted: ModuleVersion, error: ProxyError) -> None:
        self._tally.failures.append((wanted, str(error)))
        self._failed_in_a_row += 1
        if isinstance(error, StorageFull) or self._failed_in_a_row >= STOP_AFTER:
            self._tally.stopped = str(error)

    async def _one(self, wanted: ModuleVersion) -> Outcome:
        info, mod = await asyncio.gather(self._source.info(wanted), self._source.mod(wanted))
        known_h1 = (await sums_on_record(self._source, wanted))[0]
        if await self._is_present(wanted, mod, known_h1):
            return Outcome.PRESENT
        with tempfile.TemporaryDirectory(dir=self._scratch, prefix=COPY) as folder:
            zip_path = Path(folder) / "source.zip"
            size_bytes = await _download(self._source, wanted, zip_path)
            zip_h1 = await asyncio.to_thread(checked_zip_h1, zip_path, wanted)
            if known_h1 and known_h1 != zip_h1:
                raise ChecksumMismatch(f"{wanted}: the source's zip has {zip_h1} where {known_h1} was stored")
            await self._target.save(
                FetchedModule(
                    wanted=wanted,
                    info=info,
                    mod=mod,
                    zip_path=zip_path,
                    zip_size_bytes=size_bytes,
                    zip_h1=zip_h1,
                    mod_h1=mod_hash1(mod),
                )
            )
            await self._verify(wanted, mod, zip_h1, Path(folder) / "target.zip")
        self._tally.copied_bytes += size_bytes
        return Outcome.COPIED

    async def _is_present(self, wanted: ModuleVersion, mod: bytes, source_h1: str) -> bool:
        """Whether the target holds this version whole.

        Raises:
            ChecksumMismatch: it holds other bytes.
        """
        try:
            held_mod = await self._target.mod(wanted)
            async with await self._target.open_zip(wanted) as held:
                held_bytes = held.size_bytes
        except ModuleNotFound:
            return False
        if held_mod != mod:
            raise _other_bytes(wanted, "go.mod", mod_hash1(mod), mod_hash1(held_mod))
        target_h1 = (await sums_on_record(self._target, wanted))[0]
        if source_h1 and target_h1:
            if source_h1 != target_h1:
                raise _other_bytes(wanted, "zip", source_h1, target_h1)
            return True
        async with await self._source.open_zip(wanted) as offered:
            return offered.size_bytes == held_bytes

    async def _verify(self, wanted: ModuleVersion, mod: bytes, zip_h1: str, copy: Path) -> None:
        if await self._target.mod(wanted) != mod:
            raise StorageError(f"{wanted}: the target gives back another go.mod than it got; check its disk or bucket")
        await _download(self._target, wanted, copy)
        written_h1 = await asyncio.to_thread(checked_zip_h1, copy, wanted)
        if written_h1 != zip_h1:
            raise StorageError(
                f"{wanted}: the target gives back {written_h1} where it got {zip_h1}; check its disk or bucket"
            )

    async def _carry_first_seen(self, paths: Iterable[ModulePath]) -> None:
        """Keep how long versions have been known, or `minAge` would make users wait again."""
        for path in sorted(paths, key=str):
            seen = await _first_seen(self._source, path)
            known = await _first_seen(self._target, path)
            merged = known | {version: min(at, known.get(version, at)) for version, at in seen.items()}
            if merged != known:
                await self._target.write_record(record_name(path), json.dumps(merged, sort_keys=True).encode())


async def stored_versions(storage: Storage) -> list[ModuleVersion]:
    """Everything in a store's catalogue.

    Raises:
        NotSupported: the store has none.
    """
    page = await storage.catalog(token="", limit=PAGE)
    versions = [*page.entries]
    while page.next_token:
        page = await storage.catalog(token=page.next_token, limit=PAGE)
        versions += page.entries
    return versions


async def _download(storage: Storage, wanted: ModuleVersion, path: Path) -> int:
    try:
        async with await storage.open_zip(wanted) as stored:
            await copy_zip(stored, path)
            return stored.size_bytes
    except OSError as error:
        raise StorageFull(f"write a temporary file in {path.parent.parent}: {error.strerror}; set TMPDIR") from error


async def _first_seen(storage: Storage, path: ModulePath) -> dict[str, str]:
    """Times by version, as recorded: all in one notation and in UTC, so that they compare as texts."""
    try:
        record = json.loads(await storage.read_record(record_name(path)))
    except (ModuleNotFound, ValueError):
        return {}
    return {str(version): str(at) for version, at in record.items()} if isinstance(record, dict) else {}


def _other_bytes(wanted: ModuleVersion, what: str, offered: str, held: str) -> ChecksumMismatch:
    return ChecksumMismatch(
        f"{wanted}: checksum mismatch: the {what} of the source has {offered}, the target's {held};"
        " the target's is kept: delete the wrong one and copy again"
    )
