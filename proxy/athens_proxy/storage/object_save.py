"""Saving into a bucket so that a kill at any moment leaves a whole version or none.

Order: the claim on the version, zip and go.mod, at last the `.info`, created and never overwritten: it is the commit
mark. What lies under the version's keys without it is what a killed save left, and is overwritten.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

from athens_proxy.errors import ChecksumMismatch, InvalidModuleZip, StorageError
from athens_proxy.modules import ModuleVersion
from athens_proxy.storage import layout
from athens_proxy.storage.object_claim import CONTENT_TYPE, LEASE_S, Claim
from athens_proxy.storage.object_client import ObjectAbsent, ObjectClient, ObjectExists, Revision
from athens_proxy.storage.object_journal import Journal
from athens_proxy.storage.object_layout import ObjectLayout, record_key
from athens_proxy.storage.object_zip import WholeZips
from athens_proxy.storage.storage import FetchedModule
from athens_proxy.storage.sums import Sums

INFO_TYPE = "application/json"
MOD_TYPE = "text/plain"
ZIP_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class _Stored:
    """What lies whole under the keys of a committed version; `sums` is our record of it, "" where there is none."""

    mod: bytes | None
    zip: Revision | None
    sums: str

    @property
    def zip_h1(self) -> str:
        return self.sums.splitlines()[0] if self.sums.startswith("h1:") else ""


class ObjectSaver:
    """Puts versions into a bucket.

    Args:
        client: the bucket.
        keys: its layout.
        sums: used to compare a version that is fetched again with the stored one.
        whole_zips: tells which stored zips are damaged and may be replaced.
        lease_s: see `Claim`.
    """

    def __init__(
        self,
        client: ObjectClient,
        keys: ObjectLayout,
        sums: Sums,
        whole_zips: WholeZips,
        *,
        lease_s: float = LEASE_S,
    ) -> None:
        self._client = client
        self._keys = keys
        self._sums = sums
        self._whole_zips = whole_zips
        self._lease_s = lease_s
        self._journal = Journal(client, keys, lease_s=lease_s)

    async def sweep(self, *, older_than_s: float) -> int:
        """Remove what dead savers left; see `Journal.sweep`."""
        return await self._journal.sweep(older_than_s=older_than_s)

    async def save(self, fetched: FetchedModule) -> None:
        """Commit a version; a stored one is completed if files are missing, and never changed otherwise.

        Raises:
            ChecksumMismatch: other bytes are stored.
            StorageError: the bucket refuses, or another saver took over.
        """
        record = record_key(self._keys.root, layout.h1_record(fetched.wanted))
        claim = Claim(self._client, record, _sums_of(fetched), lease_s=self._lease_s)
        while not await self._is_committed(fetched.wanted):
            if not await claim.taken():
                continue
            note = await self._journal.begin(fetched.wanted)
            await claim.work(self._put_files(fetched))
            await claim.confirm()
            try:
                await self._put(self._keys.info(fetched.wanted), fetched.info, INFO_TYPE, create=True)
            except ObjectExists:
                await self._journal.end(note)
                continue
            await self._journal.end(note)
            return
        await self._settle(fetched, record)

    async def _is_committed(self, wanted: ModuleVersion) -> bool:
        try:
            await self._client.read(self._keys.info(wanted))
        except ObjectAbsent:
            return False
        return True

    async def _put_files(self, fetched: FetchedModule) -> None:
        putting = [asyncio.create_task(self._put_zip(fetched)), asyncio.create_task(self._put_mod(fetched))]
        try:
            await asyncio.gather(*putting)
        finally:  # nothing is written any more when the claim is given up
            for task in putting:
                task.cancel()
            await asyncio.gather(*putting, return_exceptions=True)

    async def _put_zip(self, fetched: FetchedModule) -> None:
        await self._client.upload(self._keys.zip(fetched.wanted), fetched.zip_path, content_type=ZIP_TYPE)

    async def _put_mod(self, fetched: FetchedModule) -> None:
        await self._put(self._keys.mod(fetched.wanted), fetched.mod, MOD_TYPE)

    async def _put(self, key: str, data: bytes, content_type: str, *, create: bool = False) -> None:
        await self._client.write(key, data, content_type=content_type, create=create)

    async def _settle(self, fetched: FetchedModule, record: str) -> None:
        """A committed version: refuse other bytes, put back what is missing."""
        stored = await self._stored(fetched, record)
        if stored.mod is not None and stored.mod != fetched.mod:
            raise _mismatch(fetched, "go.mod", fetched.mod_h1, self._sums.of_mod(stored.mod))
        await self._refuse_other_zip(fetched, stored)
        if not stored.sums:
            await self._record_sums(fetched, record)
        if stored.zip is None:
            await self._put_zip(fetched)
        if stored.mod is None:
            await self._put_mod(fetched)

    async def _stored(self, fetched: FetchedModule, record: str) -> _Stored:
        mod, zip_revision, sums = await asyncio.gather(
            self._client.read(self._keys.mod(fetched.wanted)),
            self._client.revision(self._keys.zip(fetched.wanted)),
            self._client.read(record),
            return_exceptions=True,
        )
        for result in (mod, zip_revision, sums):
            if isinstance(result, BaseException) and not isinstance(result, ObjectAbsent):
                raise result
        found = zip_revision if isinstance(zip_revision, Revision) else None
        is_whole = found is not None and await self._whole_zips.has(self._keys.zip(fetched.wanted), found)
        return _Stored(
            mod=mod if isinstance(mod, bytes) else None,
            zip=found if is_whole else None,
            sums=sums.decode(errors="replace") if isinstance(sums, bytes) else "",
        )

    async def _refuse_other_zip(self, fetched: FetchedModule, stored: _Stored) -> None:
        if stored.zip is None:
            known = stored.zip_h1  # of a zip that was evicted
        elif stored.zip_h1 == fetched.zip_h1 and stored.zip.size_bytes == fetched.zip_size_bytes:
            return
        else:
            known = await self._zip_h1(fetched)
        if known and known != fetched.zip_h1:
            raise _mismatch(fetched, "zip", fetched.zip_h1, known)

    async def _zip_h1(self, fetched: FetchedModule) -> str:
        """The sum of the stored zip itself, by way of a temporary file."""
        with tempfile.TemporaryDirectory(dir=fetched.zip_path.parent) as folder:
            copy = Path(folder) / "stored.zip"
            opened = await self._client.open(self._keys.zip(fetched.wanted))
            try:
                with copy.open("wb") as file:
                    async for chunk in opened.chunks():
                        file.write(chunk)
            finally:
                await opened.close()
            try:
                return await asyncio.to_thread(self._sums.of_zip, copy, fetched.wanted)
            except InvalidModuleZip:
                return "no valid content"

    async def _record_sums(self, fetched: FetchedModule, record: str) -> None:
        """The sums of a version that Athens wrote; of two savers that complete it, the first one counts."""
        try:
            await self._put(record, _sums_of(fetched), CONTENT_TYPE, create=True)
        except ObjectExists:
            if await self._client.read(record) != _sums_of(fetched):
                raise StorageError(
                    f"{self._client.name}: save {fetched.wanted}: another save of other content completes it; ask again"
                ) from None


def _sums_of(fetched: FetchedModule) -> bytes:
    return f"{fetched.zip_h1}\n{fetched.mod_h1}\n".encode()


def _mismatch(fetched: FetchedModule, what: str, got: str, stored: str) -> ChecksumMismatch:
    return ChecksumMismatch(
        f"{fetched.wanted}: checksum mismatch: the fetched {what} has {got}, the stored one {stored};"
        " the stored one is kept"
    )
