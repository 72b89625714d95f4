"""What the MongoDB store shares with Athens, and what it does with stores that are not whole; on a real server."""

from __future__ import annotations

import gc
import logging
import os
import warnings
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bson import Int64, ObjectId
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from athens_proxy.errors import ChecksumMismatch, ModuleNotFound, StorageError
from athens_proxy.modules import ModuleVersion
from athens_proxy.storage.mongo import MongoSettings, MongoStorage, open_mongo_storage
from support.modules_fixture import SampleModule
from support.mongo_server import MongoServer, ferretdb
from support.object_stores import SUMS

M = SampleModule()
Database = AsyncDatabase[dict[str, Any]]


@pytest.fixture
def settings(mongo_server: MongoServer) -> MongoSettings:
    """A fresh database."""
    return mongo_server.new_settings()


@pytest.fixture
async def mongo(settings: MongoSettings) -> AsyncIterator[MongoStorage]:
    """A store in it."""
    storage = await open_mongo_storage(settings, sums=SUMS)
    yield storage
    await storage.close()


@pytest.fixture
async def database(settings: MongoSettings) -> AsyncIterator[Database]:
    """The database itself."""
    async with AsyncMongoClient[dict[str, Any]](settings.url) as client:
        yield client[settings.database]


async def zip_of(storage: MongoStorage, wanted: ModuleVersion) -> bytes:
    async with await storage.open_zip(wanted) as stored:
        return b"".join([chunk async for chunk in stored.chunks()])


async def put_file_as_athens(
    database: Database, module: SampleModule, *, file_id: ObjectId | None = None, data: bytes = b""
) -> None:
    file_id = file_id or ObjectId()
    data, size = data or module.zip, 255 * 1024
    for number, at in enumerate(range(0, len(data), size)):
        await database["fs.chunks"].insert_one({"files_id": file_id, "n": number, "data": data[at : at + size]})
    name = f"{module.path.replace('/', '_')}_{module.version}.zip"
    await database["fs.files"].insert_one(
        {
            "_id": file_id,
            "length": Int64(len(data)),
            "chunkSize": size,
            "uploadDate": datetime.now(UTC),
            "filename": name,
        }
    )


async def put_document_as_athens(database: Database, module: SampleModule) -> None:
    await database["modules"].insert_one(
        {"module": module.path, "version": module.version, "mod": module.mod, "info": module.info}
    )


async def test_a_saved_version_is_athens_document_and_file(
    mongo: MongoStorage, database: Database, tmp_path: Path
) -> None:
    await mongo.save(SampleModule("github.com/Azure/x_y").fetched(tmp_path))

    document = await database["modules"].find_one({})
    file = await database["fs.files"].find_one({})

    assert document is not None
    assert file is not None
    assert list(document) == ["_id", "module", "version", "mod", "info"]
    assert (document["module"], document["version"]) == ("github.com/Azure/x_y", "v1.0.0")
    assert type(document["mod"]) is type(document["info"]) is bytes
    assert file["filename"] == "github.com_Azure_x_y_v1.0.0.zip"
    assert type(file["length"]) is Int64
    assert file["chunkSize"] == 255 * 1024


async def test_what_athens_wrote_is_served_and_completed_by_a_record(
    mongo: MongoStorage, database: Database, tmp_path: Path
) -> None:
    await put_file_as_athens(database, M)
    await put_document_as_athens(database, M)

    assert await mongo.info(M.wanted) == M.info
    assert await zip_of(mongo, M.wanted) == M.zip
    await mongo.save(M.fetched(tmp_path))
    assert await database["fs.files"].count_documents({}) == 1


@pytest.mark.parametrize("by_athens", [True, False])
async def test_zips_whose_names_collide_are_not_confused(
    mongo: MongoStorage, database: Database, tmp_path: Path, by_athens: bool
) -> None:
    modules = [SampleModule("example.com/a/b_c"), SampleModule("example.com/a_b/c"), SampleModule("example.com/a/b/c")]
    for module in modules:
        if by_athens:
            await put_file_as_athens(database, module)
            await put_document_as_athens(database, module)
        else:
            await mongo.save(module.fetched(tmp_path))

    assert [await zip_of(mongo, module.wanted) for module in modules] == [module.zip for module in modules]

    await mongo.delete(modules[0].wanted)
    assert await zip_of(mongo, modules[1].wanted) == modules[1].zip


async def test_a_zip_without_document_is_no_version_and_is_replaced(
    mongo: MongoStorage, database: Database, tmp_path: Path
) -> None:
    await put_file_as_athens(database, SampleModule(files={"old.go": b"package m\n"}))
    with pytest.raises(ModuleNotFound):
        await mongo.open_zip(M.wanted)
    assert await mongo.versions(M.wanted.path) == []

    await mongo.save(M.fetched(tmp_path))

    assert await zip_of(mongo, M.wanted) == M.zip
    assert await database["fs.files"].count_documents({}) == 1
    assert await database["modules.uploads"].count_documents({}) == 0


async def test_a_start_removes_old_uploads_without_document_and_no_others(
    settings: MongoSettings, mongo: MongoStorage, database: Database, tmp_path: Path
) -> None:
    old = ObjectId.from_datetime(datetime(2020, 1, 1, tzinfo=UTC))
    young = ObjectId()
    for file_id in (old, young):
        await database["modules.uploads"].insert_one({"_id": file_id})
        await database["fs.chunks"].insert_one({"files_id": file_id, "n": 0, "data": b"half"})
    await mongo.save(M.fetched(tmp_path))

    again = await open_mongo_storage(settings, sums=SUMS)

    assert await database["fs.chunks"].count_documents({"files_id": old}) == 0
    assert await database["fs.chunks"].count_documents({"files_id": young}) == 1
    assert await zip_of(again, M.wanted) == M.zip
    await again.close()


async def test_a_missing_zip_is_put_back_by_the_next_save(
    mongo: MongoStorage, database: Database, tmp_path: Path
) -> None:
    await mongo.save(M.fetched(tmp_path))
    await database["fs.files"].delete_many({})
    with pytest.raises(ModuleNotFound):
        await mongo.open_zip(M.wanted)

    await mongo.save(M.fetched(tmp_path))

    assert await zip_of(mongo, M.wanted) == M.zip


@pytest.mark.parametrize("number", [0, 1, 2])
async def test_a_zip_that_lacks_a_chunk_is_absent_and_replaced_under_its_sum_only(
    settings: MongoSettings, mongo: MongoStorage, database: Database, tmp_path: Path, number: int
) -> None:
    module = SampleModule(files={"noise.bin": os.urandom(600_000)})
    await mongo.save(module.fetched(tmp_path))
    removed = await database["fs.chunks"].delete_one({"n": number})
    assert removed.deleted_count == 1
    later = await open_mongo_storage(settings, sums=SUMS)  # not the process that saved it

    with pytest.raises(ModuleNotFound, match=r"the stored zip of example.com/m@v1.0.0 is damaged"):
        await later.open_zip(module.wanted)
    with pytest.raises(ChecksumMismatch):
        await later.save(M.fetched(tmp_path))
    await later.save(module.fetched(tmp_path))

    assert await zip_of(later, module.wanted) == module.zip
    assert await database["fs.files"].count_documents({}) == 1
    await later.close()


async def test_a_zip_that_was_cut_off_is_replaced_too(mongo: MongoStorage, database: Database, tmp_path: Path) -> None:
    await put_document_as_athens(database, M)
    whole = M.zip
    await put_file_as_athens(database, M, data=whole[:-10])

    with pytest.raises(ModuleNotFound, match="damaged"):
        await mongo.open_zip(M.wanted)
    await mongo.save(M.fetched(tmp_path))

    assert await zip_of(mongo, M.wanted) == whole


async def test_a_chunk_that_goes_while_the_zip_is_read_ends_it_with_an_error_and_the_zip_comes_back(
    mongo: MongoStorage, database: Database, tmp_path: Path
) -> None:
    module = SampleModule(files={"noise.bin": os.urandom(600_000)})
    await mongo.save(module.fetched(tmp_path))

    async with await mongo.open_zip(module.wanted) as stored:
        await database["fs.chunks"].delete_one({"n": 1})
        with pytest.raises(StorageError, match=r"chunks of example.com_m_v1.0.0.zip are missing.*ask again"):
            [chunk async for chunk in stored.chunks()]

    with pytest.raises(ModuleNotFound, match="damaged"):
        await mongo.open_zip(module.wanted)
    await mongo.save(module.fetched(tmp_path))
    assert await zip_of(mongo, module.wanted) == module.zip


async def test_a_reader_goes_on_after_its_server_restarted(tmp_path: Path) -> None:
    module = SampleModule(files={"noise.bin": os.urandom(4_000_000)})
    with ferretdb(tmp_path) as server:
        port = server.port
        settings = server.new_settings()
        storage = await open_mongo_storage(settings, sums=SUMS)
        await storage.save(module.fetched(tmp_path))
        stored = await storage.open_zip(module.wanted)
        chunks = stored.chunks()
        received = [await anext(chunks)]
        server.process.child.kill()

    with ferretdb(tmp_path, port=port):
        async with stored:
            received += [chunk async for chunk in chunks]

    assert b"".join(received) == module.zip
    await storage.close()


async def test_a_reader_that_leaves_early_is_forgotten_by_the_server(
    mongo: MongoStorage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    module = SampleModule(files={"noise.bin": os.urandom(4_000_000)})
    await mongo.save(module.fetched(tmp_path))

    with caplog.at_level(logging.DEBUG, "pymongo.command"):
        async with await mongo.open_zip(module.wanted) as stored:
            chunks = stored.chunks()
            await anext(chunks)

    assert "cursorsKilled" in caplog.text


async def test_a_field_of_another_type_is_an_error_that_names_it(mongo: MongoStorage, database: Database) -> None:
    await database["modules"].insert_one({"module": M.path, "version": M.version, "mod": "text", "info": 7})

    with pytest.raises(StorageError, match="field info of its document is not binary"):
        await mongo.info(M.wanted)


async def test_a_server_that_is_gone_is_named_with_the_next_step() -> None:
    url = "mongodb://user:secret@127.0.0.1:1/?serverSelectionTimeoutMS=200"

    with pytest.raises(StorageError, match=r"mongo database athens: .*check that the server runs") as caught:
        await open_mongo_storage(MongoSettings(url), sums=SUMS)

    assert "secret" not in str(caught.value)
    with warnings.catch_warnings():  # a connection attempt that the driver's close() interrupts keeps its socket
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


async def test_an_address_that_is_none_is_refused_without_showing_the_password() -> None:
    with pytest.raises(StorageError, match=r"correct Storage.Mongo.URL") as caught:
        await open_mongo_storage(MongoSettings("mongodb://user:sec@ret@host:port/"), sums=SUMS)

    assert "sec" not in str(caught.value).replace("special", "")
