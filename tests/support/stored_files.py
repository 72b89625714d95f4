"""The files behind a store, past the store: what crashed processes, failing disks and careless people do to them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from bson import Int64, ObjectId
from pymongo import AsyncMongoClient

from athens_proxy.modules import ModuleVersion
from athens_proxy.storage import layout
from athens_proxy.storage.mongo import MongoSettings
from athens_proxy.storage.mongo_files import GRIDFS_CHUNK_BYTES, file_name
from athens_proxy.storage.object_client import ObjectClient
from athens_proxy.storage.object_layout import ObjectLayout

Kind = Literal["info", "mod", "zip"]
KINDS: tuple[Kind, ...] = ("info", "mod", "zip")


class StoredFiles(Protocol):
    """The three files of a version where they lie."""

    async def remove(self, wanted: ModuleVersion, kind: Kind) -> None:
        """Take one away."""

    async def overwrite(self, wanted: ModuleVersion, kind: Kind, data: bytes) -> None:
        """Put other bytes into its place."""


@dataclass(frozen=True)
class FilesOnDisk:
    """Below the root of a disk store."""

    root: Path

    async def remove(self, wanted: ModuleVersion, kind: Kind) -> None:
        self._path(wanted, kind).unlink()

    async def overwrite(self, wanted: ModuleVersion, kind: Kind, data: bytes) -> None:
        self._path(wanted, kind).write_bytes(data)

    def _path(self, wanted: ModuleVersion, kind: Kind) -> Path:
        names = {"info": f"{wanted.version}.info", "mod": layout.MOD_NAME, "zip": layout.ZIP_NAME}
        return layout.version_dir(self.root, wanted) / names[kind]


@dataclass(frozen=True)
class FilesInBucket:
    """Below the keys of an object store."""

    client: ObjectClient
    keys: ObjectLayout

    async def remove(self, wanted: ModuleVersion, kind: Kind) -> None:
        await self.client.delete(self._key(wanted, kind))

    async def overwrite(self, wanted: ModuleVersion, kind: Kind, data: bytes) -> None:
        await self.client.write(self._key(wanted, kind), data, content_type="application/octet-stream")

    def _key(self, wanted: ModuleVersion, kind: Kind) -> str:
        return {"info": self.keys.info, "mod": self.keys.mod, "zip": self.keys.zip}[kind](wanted)


@dataclass(frozen=True)
class FilesInMongo:
    """Documents and chunks; `.info` and `.mod` are fields of one document, so that one cannot go alone."""

    settings: MongoSettings

    async def remove(self, wanted: ModuleVersion, kind: Kind) -> None:
        async with self._database() as database:
            if kind == "zip":
                await database["fs.files"].delete_one({"filename": file_name(wanted)})
            else:
                await database["modules"].delete_one(self._of(wanted))

    async def overwrite(self, wanted: ModuleVersion, kind: Kind, data: bytes) -> None:
        async with self._database() as database:
            if kind != "zip":
                await database["modules"].update_one(self._of(wanted), {"$set": {kind: data}})
                return
            file = await database["fs.files"].find_one({"filename": file_name(wanted)})
            assert file is not None
            await database["fs.chunks"].delete_many({"files_id": file["_id"]})
            await database["fs.files"].delete_one({"_id": file["_id"]})
            changed = {**file, "_id": ObjectId(), "length": Int64(len(data))}  # nobody changes a file under its _id
            for number, at in enumerate(range(0, len(data), GRIDFS_CHUNK_BYTES)):
                piece = data[at : at + GRIDFS_CHUNK_BYTES]
                await database["fs.chunks"].insert_one({"files_id": changed["_id"], "n": number, "data": piece})
            await database["fs.files"].insert_one(changed)

    def _of(self, wanted: ModuleVersion) -> dict[str, Any]:
        return {"module": wanted.path.text, "version": wanted.version}

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[Any]:
        async with AsyncMongoClient[dict[str, Any]](self.settings.url) as client:
            yield client[self.settings.database]
