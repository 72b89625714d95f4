"""Taking module versions into a store: each is checked by the rules for zips and against everybody who knows its sums.

What is stored stays: the same bytes change nothing, other bytes are refused. Nothing is remembered between two runs.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from athens_proxy.bundle.archive import InvalidBundle
from athens_proxy.checksums.dirhash import mod_hash1
from athens_proxy.commands.known_sums import Known
from athens_proxy.commands.tally import Tally
from athens_proxy.errors import (
    BadUpstreamAnswer,
    InvalidModuleZip,
    ModuleNotFound,
    ProxyError,
    StorageError,
    StorageFull,
)
from athens_proxy.modules import ModuleVersion, RevInfo
from athens_proxy.storage.disk_save import COPY_BYTES, storage_errors
from athens_proxy.storage.storage import FetchedModule, Storage
from athens_proxy.storage.stored_version import sums_on_record
from athens_proxy.upstream.zipcheck import MAX_GO_MOD_BYTES, checked_zip_h1

WORKERS: Final = 8
STOP_AFTER: Final = 20  # failures of the store in a row: then it fails, not a version
_PLAIN: Final = re.compile(r"[A-Za-z0-9._~/-]+\Z", re.ASCII)


class Outcome(StrEnum):
    """What became of one version."""

    IMPORTED = "imported"
    PRESENT = "present"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Offer:
    """A version that may be taken.

    Attributes:
        wanted: the canonical version.
        info: its `.info`, None when there is none: then it is made, without a time.
        mod: its go.mod, None when there is none: then the zip's counts, or what Go makes for a module without.
        zip_h1: the sum that stands beside it, "" when none does.
        zip_path: its zip.
        may_be_moved: the zip is a temporary file of ours.
    """

    wanted: ModuleVersion
    info: bytes | None
    mod: bytes | None
    zip_h1: str
    zip_path: Path
    may_be_moved: bool


Imported = Tally[Outcome]


class Importing:
    """One run.

    Args:
        storage: what is filled.
        scratch: a folder for zips on their way; best on the store's file system.
        known: everybody who has sums for a version.
        on_progress: told after each version.
    """

    def __init__(
        self,
        storage: Storage,
        scratch: Path,
        *,
        known: Callable[[ModuleVersion], list[Known]],
        on_progress: Callable[[Imported], None],
    ) -> None:
        self._storage = storage
        self._scratch = scratch
        self._known = known
        self._on_progress = on_progress
        self._imported = Tally.of(Outcome)
        self._failed_in_a_row = 0
        self._taking = asyncio.Lock()

    async def run(self, offers: Iterator[Offer], *, found: int, workers: int) -> Imported:
        """Take what is offered, several versions at a time; failures of versions are counted, not raised.

        Args:
            offers: may block, and raise `StorageError` or `InvalidBundle`, which end the run.
            found: how many there are.
            workers: versions at a time.
        """
        self._imported.found = found
        self._on_progress(self._imported)
        await asyncio.gather(*(self._work(offers) for _ in range(workers)))
        return self._imported

    async def _work(self, offers: Iterator[Offer]) -> None:
        while not self._imported.stopped:
            try:
                async with self._taking:
                    offer = await asyncio.to_thread(next, offers, None)
            except (StorageError, InvalidBundle) as error:
                self._imported.stopped = str(error)
                return
            if offer is None:
                return
            outcome = await self._outcome(offer)
            self._imported.outcomes[outcome] += 1
            self._on_progress(self._imported)

    async def _outcome(self, offer: Offer) -> Outcome:
        try:
            outcome = await self._one(offer)
            self._failed_in_a_row = 0
        except ProxyError as error:
            self._imported.failures.append((offer.wanted, str(error)))
            self._failed_in_a_row += isinstance(error, StorageError)
            if isinstance(error, StorageFull) or self._failed_in_a_row >= STOP_AFTER:
                self._imported.stopped = str(error)
            return Outcome.FAILED
        finally:
            if offer.may_be_moved:
                await asyncio.to_thread(offer.zip_path.unlink, missing_ok=True)
        return outcome

    async def _one(self, offer: Offer) -> Outcome:
        held = await self._held(offer.wanted)
        known = [*self._known(offer.wanted), Known("the file beside the zip", offer.zip_h1, "")]
        if held is not None and offer.zip_h1 == held.zip_h1 != "" and offer.mod is not None:
            for one in known:  # nothing has to be read to see that it is the same
                Known("", held.zip_h1, mod_hash1(offer.mod)).require(offer.wanted, one)
            if held.mod_h1 == mod_hash1(offer.mod):
                return Outcome.PRESENT
        fetched = await asyncio.to_thread(_checked, offer, self._scratch, known)
        try:
            await self._storage.save(fetched)
        finally:
            await asyncio.to_thread(fetched.zip_path.unlink, missing_ok=True)
        if held is not None:
            return Outcome.PRESENT
        self._imported.copied_bytes += fetched.zip_size_bytes
        return Outcome.IMPORTED

    async def _held(self, wanted: ModuleVersion) -> Known | None:
        """The sums of what is stored, None unless all of the version is."""
        try:
            async with await self._storage.open_zip(wanted):
                pass
        except ModuleNotFound:
            return None
        return Known("the store", *await sums_on_record(self._storage, wanted))


def _checked(offer: Offer, scratch: Path, known: list[Known]) -> FetchedModule:
    """The offer as it may be saved, its zip in a temporary file that is the caller's; blocks."""
    wanted = offer.wanted
    zip_path = scratch / uuid.uuid4().hex
    try:
        if offer.may_be_moved:
            offer.zip_path.rename(zip_path)
        else:
            _copy(offer.zip_path, zip_path)
        try:
            zip_h1 = checked_zip_h1(zip_path, wanted)
        except InvalidModuleZip as error:
            raise InvalidModuleZip(str(error).replace("the upstream sent an invalid", "it has an invalid")) from error
        mod = offer.mod if offer.mod is not None else _mod_of(zip_path, wanted)
        found = Known("", zip_h1, mod_hash1(mod))
        for one in known:
            found.require(wanted, one)
        info = _info(offer)
    except BaseException:
        zip_path.unlink(missing_ok=True)
        raise
    return FetchedModule(
        wanted=wanted,
        info=info,
        mod=mod,
        zip_path=zip_path,
        zip_size_bytes=zip_path.stat().st_size,
        zip_h1=zip_h1,
        mod_h1=found.mod_h1,
    )


def _copy(source: Path, target: Path) -> None:
    with storage_errors(f"read {source}"):
        reader = source.open("rb")
    with reader, storage_errors(f"write a temporary file in {target.parent}"), target.open("xb") as writer:
        shutil.copyfileobj(reader, writer, COPY_BYTES)


def _info(offer: Offer) -> bytes:
    if not offer.info:
        return RevInfo(offer.wanted.version).encode()
    try:
        info = RevInfo.parse(offer.info)
    except BadUpstreamAnswer as error:
        raise BadUpstreamAnswer(f"{offer.wanted}: its .info: {error}") from error
    if info.version != offer.wanted.version:
        raise BadUpstreamAnswer(f"{offer.wanted}: its .info is that of another version; it is not taken")
    return info.of_version().encode()


def _mod_of(zip_path: Path, wanted: ModuleVersion) -> bytes:
    """The go.mod in a zip that was checked, else the one that Go makes for a module without."""
    try:
        with zipfile.ZipFile(zip_path) as archive, archive.open(f"{wanted}/go.mod") as file:
            return file.read(MAX_GO_MOD_BYTES)
    except KeyError:
        path = wanted.path.text
        return (f"module {path}\n" if _PLAIN.match(path) else f'module "{path}"\n').encode()
