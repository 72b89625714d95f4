"""Saving in MongoDB so that a kill at any moment leaves a whole version or none.

The zip goes to GridFS first, the document last: it is the commit mark. Both get the same new `_id`, so a document names
its own zip, whatever other savers leave under the same file name; Athens reads both as it always does. Uploads are
noted in a journal, from which a start removes what killed savers left.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from bson import ObjectId
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DuplicateKeyError

from athens_proxy.errors import ChecksumMismatch, InvalidModuleZip, StorageError
from athens_proxy.modules import ModuleVersion
from athens_proxy.storage import layout
from athens_proxy.storage.mongo_files import Document, GridFile, GridFiles, GridZip
from athens_proxy.storage.storage import LEFTOVER_AGE_S, FetchedModule
from athens_proxy.storage.sums import Sums

_MAX_SWEPT: Final = 1000
_LOG = logging.getLogger(__name__)


class MongoSaver:
    """Puts versions into a collection and its GridFS bucket.

    Args:
        modules: Athens' collection of documents.
        files: the zips.
        sums: used to compare a version that is fetched again with the stored one.
    """

    def __init__(self, modules: AsyncCollection[Document], files: GridFiles, sums: Sums) -> None:
        self._modules = modules
        self._records = modules["records"]
        self._journal = modules["uploads"]
        self._files = files
        self._sums = sums

    async def save(self, fetched: FetchedModule) -> None:
        """Commit a version; a stored one is completed if its zip is missing, and never changed otherwise.

        Raises:
            ChecksumMismatch: other bytes are stored.
            PyMongoError, StorageError: the server refuses.
        """
        document = await self._document(fetched.wanted)
        if document is None:
            if await self._commit(fetched):
                return
            document = await self._document(fetched.wanted)
        if document is None:
            raise StorageError(f"save {fetched.wanted} in mongo: it was deleted meanwhile; ask again")
        await self._settle(fetched, document)

    async def sweep(self) -> None:
        """Remove uploads that were begun long ago and never committed."""
        oldest = ObjectId.from_datetime(datetime.now(UTC) - timedelta(seconds=LEFTOVER_AGE_S))
        for entry in await self._journal.find({"_id": {"$lt": oldest}}).to_list(_MAX_SWEPT):
            if await self._modules.find_one({"_id": entry["_id"]}, {"_id": 1}) is None:
                await self._files.remove(entry["_id"])
                _LOG.info("removed a zip that no save committed", extra={"files_id": str(entry["_id"])})
            await self._journal.delete_one({"_id": entry["_id"]})

    async def _document(self, wanted: ModuleVersion) -> Document | None:
        return await self._modules.find_one({"module": wanted.path.text, "version": wanted.version}, {"mod": 1})

    async def _commit(self, fetched: FetchedModule) -> bool:
        """Upload and insert; False if another saver was first."""
        document_id = ObjectId()
        await self._journal.insert_one({"_id": document_id})
        await self._files.upload(fetched, document_id)
        try:
            await self._modules.insert_one(
                {
                    "_id": document_id,
                    "module": fetched.wanted.path.text,
                    "version": fetched.wanted.version,
                    "mod": fetched.mod,
                    "info": fetched.info,
                }
            )
        except DuplicateKeyError:
            # An insert that the driver sent twice finds itself.
            if await self._modules.find_one({"_id": document_id}, {"_id": 1}) is None:
                await self._files.remove(document_id)
                await self._journal.delete_one({"_id": document_id})
                return False
        await put_record(self._records, _record(fetched), _sums_of(fetched))
        for file in await self._files.all_of_version(fetched.wanted):
            if file.id != document_id:
                await self._files.remove(file.id)  # of a saver that was killed before its document
        await self._journal.delete_one({"_id": document_id})
        return True

    async def _settle(self, fetched: FetchedModule, document: Document) -> None:
        """A committed version: refuse other bytes, put back a zip that is missing or cut off."""
        mod = bytes(document["mod"])
        if mod != fetched.mod:
            raise _mismatch(fetched, "go.mod", fetched.mod_h1, self._sums.of_mod(mod))
        found = await self._files.of_version(fetched.wanted, document["_id"])
        file = found if found and await self._files.is_whole(found) else None
        recorded = await self._recorded_h1(fetched)
        if file is None:
            known = recorded
        elif recorded == fetched.zip_h1 and file.size_bytes == fetched.zip_size_bytes:
            return
        else:
            known = await self._zip_h1(fetched, file)
        if known and known != fetched.zip_h1:
            raise _mismatch(fetched, "zip", fetched.zip_h1, known)
        await self._record_sums(fetched)
        if file is None:
            await self._put_back(fetched)
            if found is not None:
                await self._files.remove(found.id)  # last: nothing is lost if the upload fails

    async def _put_back(self, fetched: FetchedModule) -> None:
        file_id = ObjectId()
        await self._journal.insert_one({"_id": file_id})
        await self._files.upload(fetched, file_id)
        await self._journal.delete_one({"_id": file_id})

    async def _recorded_h1(self, fetched: FetchedModule) -> str:
        record = await self._records.find_one({"_id": _record(fetched)})
        lines = bytes(record["data"]).decode(errors="replace").splitlines() if record else []
        return lines[0] if lines and lines[0].startswith("h1:") else ""

    async def _record_sums(self, fetched: FetchedModule) -> None:
        """The sums of a version that had none; of two savers that complete it, the first one counts."""
        try:
            await self._records.insert_one({"_id": _record(fetched), "data": _sums_of(fetched)})
        except DuplicateKeyError:
            if await self._recorded_h1(fetched) != fetched.zip_h1:
                raise StorageError(
                    f"save {fetched.wanted} in mongo: another save of other content completes it; ask again"
                ) from None

    async def _zip_h1(self, fetched: FetchedModule, file: GridFile) -> str:
        """The sum of the stored zip itself, by way of a temporary file."""
        with tempfile.TemporaryDirectory(dir=fetched.zip_path.parent) as folder:
            copy = Path(folder) / "stored.zip"
            with copy.open("wb") as target:
                async for chunk in GridZip(self._files, file, fetched.wanted).chunks():
                    target.write(chunk)
            try:
                return await asyncio.to_thread(self._sums.of_zip, copy, fetched.wanted)
            except InvalidModuleZip:
                return "no valid content"


async def put_record(records: AsyncCollection[Document], name: str, data: bytes) -> None:
    """Replace a record; two first writers of one may meet, and the server then refuses one of them."""
    try:
        await records.replace_one({"_id": name}, {"data": data}, upsert=True)
    except DuplicateKeyError:
        await records.replace_one({"_id": name}, {"data": data}, upsert=True)


def _record(fetched: FetchedModule) -> str:
    return layout.h1_record(fetched.wanted)


def _sums_of(fetched: FetchedModule) -> bytes:
    return f"{fetched.zip_h1}\n{fetched.mod_h1}\n".encode()


def _mismatch(fetched: FetchedModule, what: str, got: str, stored: str) -> ChecksumMismatch:
    return ChecksumMismatch(
        f"{fetched.wanted}: checksum mismatch: the fetched {what} has {got}, the stored one {stored};"
        " the stored one is kept"
    )
