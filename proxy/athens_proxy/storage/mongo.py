"""The MongoDB store: Athens' documents and GridFS files, our commit rule.

A version is a document `{module, version, mod, info}` in Athens' collection and a zip in GridFS. Two collections of
ours lie beside it, `<collection>.records` and `<collection>.uploads`, and one index that Athens' lookups profit from
as well. FerretDB and other servers that speak the protocol will do.

Source: github.com/gomods/athens pkg/storage/mongo
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, Final

from bson import ObjectId
from bson.errors import InvalidId
from pymongo import ASCENDING, AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from athens_policy import semver
from athens_proxy.errors import InvalidPath, ModuleNotFound, StorageError
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.modules.names import canonical_version
from athens_proxy.storage import layout
from athens_proxy.storage.mongo_errors import mongo_errors
from athens_proxy.storage.mongo_files import Document, GridFiles, GridZip
from athens_proxy.storage.mongo_save import MongoSaver, put_record
from athens_proxy.storage.storage import CatalogPage, FetchedModule, InvalidToken, StoredSizes
from athens_proxy.storage.sums import Sums

OPERATION_S: Final = 30.0
CONNECT_S: Final = 10.0
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MongoSettings:
    """Where a database is.

    Attributes:
        url: `mongodb://` or `mongodb+srv://`, may hold a password.
        database: its name.
        collection: of Athens' documents.
        ca_file: PEM certificates to trust instead of the system's; turns TLS on. "" for none.
        insecure: accept any certificate.
    """

    url: str = field(repr=False)
    database: str = "athens"
    collection: str = "modules"
    ca_file: str = ""
    insecure: bool = False


class MongoStorage:
    """A store in one database; made by `open_mongo_storage`.

    Args:
        client: closed with the store.
        database: of that client.
        collection: Athens' collection.
        sums: how stored files are compared with fetched ones.
    """

    def __init__(
        self, client: AsyncMongoClient[Document], database: AsyncDatabase[Document], collection: str, *, sums: Sums
    ) -> None:
        self._client = client
        self._where = f"mongo database {database.name}"
        self._modules = database[collection]
        self._records = self._modules["records"]
        self._files = GridFiles(database, self._where)
        self._saver = MongoSaver(self._modules, self._files, sums)

    async def prepare(self) -> None:
        """Make what is missing of the indexes, and sweep what killed saves left.

        Raises:
            StorageError: the server cannot be used.
        """
        with mongo_errors(self._where, "prepare the collections"):
            await self._modules.create_index(
                [("base_url", ASCENDING), ("module", ASCENDING), ("version", ASCENDING)], unique=True, sparse=True
            )
            # Athens' index begins with a field that no document has; some servers enforce nothing then.
            await self._modules.create_index([("module", ASCENDING), ("version", ASCENDING)], unique=True)
            await self._files.prepare()
            await self._saver.sweep()

    async def info(self, wanted: ModuleVersion) -> bytes:
        """The `.info` file; see `Storage.info`."""
        return self._bytes_of(wanted, await self._document(wanted, "info"), "info")

    async def mod(self, wanted: ModuleVersion) -> bytes:
        """The `.mod` file; see `Storage.mod`."""
        return self._bytes_of(wanted, await self._document(wanted, "mod"), "mod")

    async def open_zip(self, wanted: ModuleVersion) -> GridZip:
        """The zip, opened; see `Storage.open_zip`."""
        document = await self._document(wanted, "_id")
        with mongo_errors(self._where, f"open the zip of {wanted}"):
            file = await self._files.of_version(wanted, document["_id"])
            if file is None:
                raise ModuleNotFound(f"not found: the zip of {wanted} is not stored")
            if not await self._files.is_whole(file):
                _LOG.warning("%s: the stored zip of %s is damaged and will be fetched again", self._where, wanted)
                raise ModuleNotFound(f"not found: the stored zip of {wanted} is damaged")
            return await GridZip(self._files, file, wanted).start()

    async def versions(self, path: ModulePath) -> list[str]:
        """Canonical versions in semver order; see `Storage.versions`."""
        with mongo_errors(self._where, f"list the stored versions of {path}"):
            found = await self._modules.find({"module": path.text}, {"_id": 0, "version": 1}).to_list()
        names = {str(document.get("version", "")) for document in found}
        return sorted((name for name in names if name and canonical_version(name) == name), key=semver.sort_key)

    async def save(self, fetched: FetchedModule) -> None:
        """Commit a version; see `Storage.save`."""
        with mongo_errors(self._where, f"save {fetched.wanted}"):
            await self._saver.save(fetched)

    async def delete(self, wanted: ModuleVersion) -> None:
        """Remove a version, its document first; see `Storage.delete`."""
        document = await self._document(wanted, "_id")
        with mongo_errors(self._where, f"delete {wanted}"):
            await self._modules.delete_one({"_id": document["_id"]})
            await self._records.delete_one({"_id": layout.h1_record(wanted)})
            for file in await self._files.all_of_version(wanted):
                await self._files.remove(file.id)

    async def delete_zip(self, wanted: ModuleVersion) -> None:
        """Remove a version's zip; see `Storage.delete_zip`."""
        await self._document(wanted, "_id")
        with mongo_errors(self._where, f"delete the zip of {wanted}"):
            for file in await self._files.all_of_version(wanted):
                await self._files.remove(file.id)

    async def sizes(self, wanted: ModuleVersion) -> StoredSizes:
        """How large the files of a version are; see `Storage.sizes`."""
        document = await self._document(wanted, "_id", "info", "mod")
        small_bytes = sum(len(self._bytes_of(wanted, document, name)) for name in ("info", "mod"))
        with mongo_errors(self._where, f"look at the zip of {wanted}"):
            file = await self._files.of_version(wanted, document["_id"])
        return StoredSizes(file.size_bytes if file else None, small_bytes)

    async def catalog(self, *, token: str, limit: int) -> CatalogPage:
        """One page in the order of `_id`; see `Storage.catalog`."""
        try:
            newer = {"_id": {"$gt": ObjectId(token)}} if token else {}
        except InvalidId as error:
            raise InvalidToken(f"token {token!r}: it is not the _id of a document") from error
        entries: list[ModuleVersion] = []
        last_id: object = None
        with mongo_errors(self._where, "list the stored modules"):
            cursor = self._modules.find(newer, {"module": 1, "version": 1}, sort=[("_id", ASCENDING)])
            async with cursor:
                async for document in cursor:
                    entry = _entry(document)
                    if entry is not None and len(entries) == limit:
                        return CatalogPage(tuple(entries), str(last_id))
                    if entry is not None:
                        entries.append(entry)
                        last_id = document["_id"]
        return CatalogPage(tuple(entries), "")

    async def read_record(self, name: str) -> bytes:
        """One of our own records; see `Storage.read_record`."""
        layout.record_parts(name)
        with mongo_errors(self._where, f"read record {name}"):
            record = await self._records.find_one({"_id": name})
        if record is None:
            raise ModuleNotFound(f"not found: record {name} is not stored")
        return bytes(record["data"])

    async def write_record(self, name: str, data: bytes) -> None:
        """Replace one of our own records; see `Storage.write_record`."""
        layout.record_parts(name)
        with mongo_errors(self._where, f"write record {name}"):
            await put_record(self._records, name, data)

    async def check(self) -> None:
        """Read one document's `_id`, which also proves the right to; see `Storage.check`."""
        with mongo_errors(self._where, "read"):
            await self._modules.find_one({}, {"_id": 1})

    async def close(self) -> None:
        """Release connections."""
        await self._client.close()

    async def _document(self, wanted: ModuleVersion, *fields: str) -> Document:
        key = {"module": wanted.path.text, "version": wanted.version}
        with mongo_errors(self._where, f"read {wanted}"):
            document = await self._modules.find_one(key, dict.fromkeys(fields, 1))
        if document is None:
            raise ModuleNotFound(f"not found: {wanted} is not stored")
        return document

    def _bytes_of(self, wanted: ModuleVersion, document: Document, name: str) -> bytes:
        value = document.get(name)
        if not isinstance(value, bytes):
            raise StorageError(
                f"{self._where}: read {wanted}: the field {name} of its document is not binary;"
                " delete the document so that the version is fetched again"
            )
        return value


async def open_mongo_storage(settings: MongoSettings, *, sums: Sums) -> MongoStorage:
    """A store that answered once.

    Raises:
        StorageError: the settings name no database, or its server does not answer.
    """
    where = f"mongo database {settings.database}"
    with mongo_errors(where, "connect"):
        try:
            client: AsyncMongoClient[Document] = AsyncMongoClient(
                settings.url, **_limits(settings.url), **_tls(settings)
            )
        except (OSError, ValueError) as error:
            raise StorageError(f"{where}: connect: {_plain(error)}; check CertPath and URL") from error
    storage = MongoStorage(client, client[settings.database], settings.collection, sums=sums)
    try:
        await storage.prepare()
    except BaseException:
        await storage.close()
        raise
    return storage


def _entry(document: Document) -> ModuleVersion | None:
    try:
        version = str(document.get("version", ""))
        return ModuleVersion(ModulePath.parse(str(document.get("module", ""))), version) if version else None
    except InvalidPath:
        return None


def _limits(url: str) -> dict[str, Any]:
    """Our time-outs, as far as the address has none of its own."""
    limits = {"timeoutMS": OPERATION_S, "serverSelectionTimeoutMS": CONNECT_S, "connectTimeoutMS": CONNECT_S}
    given = url.partition("?")[2].lower()
    return {name: int(limit_s * 1000) for name, limit_s in limits.items() if f"{name.lower()}=" not in given}


def _tls(settings: MongoSettings) -> dict[str, Any]:
    given = settings.url.partition("?")[2].lower()
    is_on = settings.url.startswith("mongodb+srv://") or "tls=true" in given or "ssl=true" in given
    if settings.insecure and (is_on or settings.ca_file):
        return {"tls": True, "tlsAllowInvalidCertificates": True}
    return {"tls": True, "tlsCAFile": settings.ca_file} if settings.ca_file else {}


def _plain(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
