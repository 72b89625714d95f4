"""Zips in GridFS, in the bucket and under the names that Athens uses.

A name is the module path with `_` for `/`, so the zips of `a/b_c` and `a_b/c` share one; Athens then serves the newer
one for both. Here a zip belongs to a version if it has the `_id` of the version's document (what we write), if its
metadata says so, or if its first entry does (what Athens wrote).

Chunks travel in small batches: the driver's own GridFS buffers 48 MB of each upload. A zip is read by one query, since
servers that use no index here (FerretDB) look at every chunk of the database to answer one.

Source: github.com/gomods/athens pkg/storage/mongo;
https://github.com/mongodb/specifications/blob/master/source/gridfs/gridfs-spec.md
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bson import Int64, ObjectId
from pymongo import ASCENDING, DESCENDING
from pymongo.asynchronous.cursor import AsyncCursor
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import AutoReconnect, CursorNotFound

from athens_proxy.errors import StorageError
from athens_proxy.modules import ModuleVersion
from athens_proxy.storage.mongo_errors import mongo_errors
from athens_proxy.storage.storage import CHUNK_BYTES, FetchedModule
from athens_proxy.storage.zip_end import LONG_END_BYTES, ends_as_zip

Document = dict[str, Any]
GRIDFS_CHUNK_BYTES: Final = 255 * 1024  # the specification's default, and so Athens'
BATCH: Final = 8
_MAX_CANDIDATES: Final = 100
_MAX_KNOWN: Final = 100_000
_LOCAL_HEADER: Final = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class GridFile:
    """A zip in GridFS.

    Attributes:
        id: its `_id`.
        size_bytes: its length.
        chunk_bytes: size of every chunk but the last.
        owner: module and version of its metadata, None for what Athens wrote.
    """

    id: object
    size_bytes: int
    chunk_bytes: int
    owner: tuple[str, str] | None


def file_name(wanted: ModuleVersion) -> str:
    """Athens' name of a version's zip."""
    return f"{wanted.path.text.replace('/', '_')}_{wanted.version}.zip"


class GridFiles:
    """The GridFS bucket `fs` of a database.

    Args:
        database: with its connection.
        where: the database for messages.
    """

    def __init__(self, database: AsyncDatabase[Document], where: str) -> None:
        self._files = database["fs.files"]
        self._chunks = database["fs.chunks"]
        self._where = where
        self._whole: dict[object, None] = {}

    async def prepare(self) -> None:
        """Make the indexes of the GridFS specification."""
        await self._files.create_index([("filename", ASCENDING), ("uploadDate", ASCENDING)])
        await self._chunks.create_index([("files_id", ASCENDING), ("n", ASCENDING)], unique=True)

    async def of_version(self, wanted: ModuleVersion, document_id: object) -> GridFile | None:
        """The zip of a committed version: the document's own, else the newest that belongs to it."""
        named = await self._named(wanted)
        own = [file for file in named if file.id == document_id]
        foreign = [file for file in named if file.owner is None]
        ours = [file for file in named if file.owner is not None]
        for file in (*own, *foreign, *ours):
            if await self._belongs(file, wanted):
                return file
        return None

    async def all_of_version(self, wanted: ModuleVersion) -> list[GridFile]:
        """Every zip that belongs to a version, left-overs included."""
        return [file for file in await self._named(wanted) if await self._belongs(file, wanted)]

    async def upload(self, fetched: FetchedModule, file_id: ObjectId) -> None:
        """Write a zip; it has a name once it is whole, and this process does not ask whether it is.

        Raises:
            StorageError: the server fails, or the local file is not as long as announced.
        """
        length = await self._put_chunks(fetched.zip_path, file_id)
        if length != fetched.zip_size_bytes:
            raise StorageError(f"{self._where}: save {fetched.wanted}: its zip changed while it was read; ask again")
        await self._files.insert_one(
            {
                "_id": file_id,
                "length": Int64(length),
                "chunkSize": GRIDFS_CHUNK_BYTES,
                "uploadDate": datetime.now(UTC),
                "filename": file_name(fetched.wanted),
                "metadata": {"module": fetched.wanted.path.text, "version": fetched.wanted.version},
            }
        )
        self._remember_whole(file_id)

    async def remove(self, file_id: object) -> None:
        """Remove a zip or what there is of it, its name first."""
        await self._files.delete_one({"_id": file_id})
        await self._chunks.delete_many({"files_id": file_id})

    async def is_whole(self, file: GridFile) -> bool:
        """Whether every chunk is there and the last one ends as a zip does; what was found whole is not asked again."""
        if file.id in self._whole:
            return True
        if not file.size_bytes or file.chunk_bytes <= 0:
            return False
        last = (file.size_bytes - 1) // file.chunk_bytes
        count = await self._chunks.count_documents({"files_id": file.id})
        tail = b"".join(await self.batch(file, max(0, last - 1), 2 if last else 1))
        tail_bytes = file.size_bytes - max(0, last - 1) * file.chunk_bytes
        if count != last + 1 or len(tail) != tail_bytes or not ends_as_zip(tail[-LONG_END_BYTES:], file.size_bytes):
            return False
        self._remember_whole(file.id)
        return True

    async def chunks(self, file: GridFile, first: int, last: int, *, what: str = "a zip") -> AsyncGenerator[bytes]:
        """The chunks numbered from `first` to `last`; ends before a missing one.

        What the server forgets of a slow reader, and what breaks when it restarts, is asked again from there on.

        Raises:
            StorageError: the server failed twice at one place.
        """
        number = first
        with mongo_errors(self._where, f"read {what}"):
            while number <= last:
                begun_at = number
                try:
                    async with self._find_chunks(file, number, last) as cursor:
                        async for document in cursor:
                            if document["n"] != number:
                                return
                            yield bytes(document["data"])
                            number += 1
                    return
                except (CursorNotFound, AutoReconnect):
                    if number == begun_at:
                        raise

    async def batch(self, file: GridFile, first: int, count: int) -> list[bytes]:
        """Consecutive chunks from the one numbered `first`; fewer only if chunks are missing."""
        return [chunk async for chunk in self.chunks(file, first, first + count - 1)]

    def damaged(self, file: GridFile, wanted: ModuleVersion) -> StorageError:
        """The error for a zip that turned out not to be whole; from now on it counts as absent."""
        self._whole.pop(file.id, None)
        return StorageError(
            f"{self._where}: read the zip of {wanted}: chunks of {file_name(wanted)} are missing or cut off;"
            " ask again so that it is fetched again"
        )

    def _find_chunks(self, file: GridFile, first: int, last: int) -> AsyncCursor[Document]:
        return self._chunks.find(
            {"files_id": file.id, "n": {"$gte": first, "$lte": last}},
            {"n": 1, "data": 1},
            sort=[("n", ASCENDING)],
            batch_size=BATCH,
        )

    def _remember_whole(self, file_id: object) -> None:
        if len(self._whole) >= _MAX_KNOWN:
            del self._whole[next(iter(self._whole))]
        self._whole[file_id] = None

    async def _named(self, wanted: ModuleVersion) -> list[GridFile]:
        cursor = self._files.find({"filename": file_name(wanted)}, sort=[("uploadDate", DESCENDING)])
        return [_grid_file(document) for document in await cursor.to_list(_MAX_CANDIDATES)]

    async def _belongs(self, file: GridFile, wanted: ModuleVersion) -> bool:
        if file.owner is not None:
            return file.owner == (wanted.path.text, wanted.version)
        first = await self.batch(file, 0, 1)
        name = _first_entry(first[0] if first else b"")
        return name is None or name.startswith(f"{wanted}/".encode())

    async def _put_chunks(self, path: Path, file_id: ObjectId) -> int:
        size_bytes = number = 0
        with path.open("rb") as file:
            while data := await asyncio.to_thread(file.read, BATCH * GRIDFS_CHUNK_BYTES):
                pieces = [data[at : at + GRIDFS_CHUNK_BYTES] for at in range(0, len(data), GRIDFS_CHUNK_BYTES)]
                await self._chunks.insert_many(
                    [{"_id": ObjectId(), "files_id": file_id, "n": n, "data": d} for n, d in enumerate(pieces, number)]
                )
                number += len(pieces)
                size_bytes += len(data)
        return size_bytes


class GridZip:
    """An open zip, to be read once at a time."""

    def __init__(self, files: GridFiles, file: GridFile, wanted: ModuleVersion) -> None:
        self._files = files
        self._file = file
        self._wanted = wanted
        self._reading: AsyncGenerator[bytes] | None = None
        self._only: bytes | None = None

    async def start(self) -> GridZip:
        """Read a zip of one chunk now, so that its deletion does not cut it; returns itself."""
        if self.size_bytes <= self._file.chunk_bytes:
            self._only = b"".join(await self._files.batch(self._file, 0, 1))
        return self

    @property
    def size_bytes(self) -> int:
        """Size of the whole zip."""
        return self._file.size_bytes

    async def chunks(self, *, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of a range in chunks of at most `CHUNK_BYTES`.

        Raises:
            StorageError: the server failed, or the zip is not whole.
        """
        end = self.size_bytes if length is None else min(self.size_bytes, offset + length)
        if offset >= end:
            return
        at, size = offset, self._file.chunk_bytes
        self._reading = self._stored(at // size, (end - 1) // size)
        async with aclosing(self._reading) as stored:
            async for data in stored:
                number, skip = divmod(at, size)
                if len(data) != min(size, self.size_bytes - number * size):
                    break
                part = memoryview(data)[skip : skip + end - at]
                for start in range(0, len(part), CHUNK_BYTES):
                    yield bytes(part[start : start + CHUNK_BYTES])
                at += len(part)
        if at < end:
            raise self._files.damaged(self._file, self._wanted)

    async def _stored(self, first: int, last: int) -> AsyncGenerator[bytes]:
        if self._only is not None:
            yield self._only
            return
        async with aclosing(self._files.chunks(self._file, first, last, what=f"the zip of {self._wanted}")) as stored:
            async for data in stored:
                yield data

    async def __aenter__(self) -> GridZip:
        """Return itself."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Let the server forget a reader that left early."""
        if self._reading is not None:
            await self._reading.aclose()


def _grid_file(document: Document) -> GridFile:
    metadata = document.get("metadata")
    owner = None
    if isinstance(metadata, dict) and "module" in metadata:
        owner = (str(metadata["module"]), str(metadata.get("version", "")))
    return GridFile(document["_id"], int(document["length"]), int(document["chunkSize"]), owner)


def _first_entry(data: bytes) -> bytes | None:
    """The name of a zip's first entry, None if there is none to read."""
    if not data.startswith(_LOCAL_HEADER) or len(data) < 30:
        return None
    (name_length,) = struct.unpack_from("<H", data, 26)
    return data[30 : 30 + name_length]
