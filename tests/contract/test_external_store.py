"""A proxy as the store of another one, over real sockets: uploads of any size, refusals, servers that are not ours."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from athens_proxy.errors import ModuleNotFound, NotSupported, StorageError
from athens_proxy.server import Listener, listening
from athens_proxy.storage.external import open_external_storage
from support.living_folder import files_below
from support.modules_fixture import SampleModule
from support.store_server import served_storage, serving_store

M = SampleModule()


@asynccontextmanager
async def foreign_server(zip_bytes: bytes) -> AsyncIterator[str]:
    """A server of Athens' API that does not announce sizes and knows nothing else."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if request.method != "GET" or not request.path.endswith((".zip", "/list")):
            return web.Response(status=404)
        if request.path.endswith("/list"):
            return web.Response(text="v1.0.0\nnot-a-version\n")
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(zip_bytes)
        await response.write_eof()
        return response

    async with listening(handle, Listener(host="127.0.0.1", port=0)) as address:
        yield f"http://127.0.0.1:{address.rpartition(':')[2]}/base"


async def test_a_zip_of_many_megabytes_passes_both_ways(tmp_path: Path) -> None:
    module = SampleModule(files={"noise.bin": os.urandom(5_000_000)})
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    async with served_storage(tmp_path) as storage:
        await storage.save(module.fetched(scratch))

        async with await storage.open_zip(module.wanted) as stored:
            data = b"".join([chunk async for chunk in stored.chunks()])

    assert data == module.zip


async def test_a_zip_that_was_cut_off_at_the_server_is_absent_and_replaced(tmp_path: Path) -> None:
    async with served_storage(tmp_path) as storage:
        await storage.save(M.fetched(tmp_path))
        (stored,) = [path for path in files_below(tmp_path / "served") if path.name == "source.zip"]
        stored.write_bytes(M.zip[:-10])

        with pytest.raises(ModuleNotFound):
            await storage.open_zip(M.wanted)
        await storage.save(M.fetched(tmp_path))

        async with await storage.open_zip(M.wanted) as opened:
            assert b"".join([chunk async for chunk in opened.chunks()]) == M.zip


async def test_a_proxy_serves_its_store_only_when_told_to(tmp_path: Path) -> None:
    async with serving_store(tmp_path, {"ATHENS_STORAGE_SERVE": "false"}) as url:
        storage = open_external_storage(url)
        with pytest.raises(ModuleNotFound):
            await storage.save(M.fetched(tmp_path))
        await storage.close()


async def test_credentials_are_asked_for_before_a_store_is_read(tmp_path: Path) -> None:
    env = {"BASIC_AUTH_USER": "user", "BASIC_AUTH_PASS": "secret"}
    async with serving_store(tmp_path, env) as url:
        stranger = open_external_storage(url)
        known = open_external_storage(url.replace("://", "://user:secret@"))
        with pytest.raises(StorageError, match=r"check user and password in Storage.External.URL"):
            await stranger.check()
        await known.check()
        await stranger.close()
        await known.close()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["mod.info", "mod.mod"], "the form has no file mod.zip"),
        (["mod.info", "other"], "a part that is none of mod.info, mod.mod, mod.zip"),
        (["mod.info", "mod.mod", "mod.zip"], "invalid module zip"),
    ],
)
async def test_a_broken_upload_is_refused_and_leaves_nothing(tmp_path: Path, names: list[str], said: str) -> None:
    async with serving_store(tmp_path) as url, aiohttp.ClientSession() as session:
        form = aiohttp.FormData(default_to_multipart=True)
        for name in names:
            form.add_field(name, b"{}", filename=name)
        async with session.post(f"{url}/example.com/m/@v/v1.0.0.save", data=form) as answer:
            assert answer.status == 400
            assert said in await answer.text()
        async with session.post(f"{url}/example.com/m/@v/v1.0.0.save", data=b"no form") as answer:
            assert answer.status == 400
        async with session.get(f"{url}/example.com/m/@v/list") as answer:
            assert await answer.read() == b""
    for _ in range(1000):  # a thread of the proxy that was announcing itself may still be at it
        if not os.listdir(tmp_path / "served/.athens/tmp"):
            break
        await asyncio.sleep(0.01)
    else:
        pytest.fail("the upload was left behind")


async def test_a_server_that_is_not_ours_has_no_catalogue_and_keeps_no_records(tmp_path: Path) -> None:
    async with foreign_server(M.zip) as url:
        storage = open_external_storage(url)
        with pytest.raises(NotSupported):
            await storage.catalog(token="", limit=10)
        with pytest.raises(ModuleNotFound):
            await storage.read_record("first-seen/example.com/m")
        await storage.write_record("first-seen/example.com/m", b"{}")

        assert await storage.read_record("first-seen/example.com/m") == b"{}"
        assert await storage.versions(M.wanted.path) == ["v1.0.0"]
        await storage.close()


async def test_a_zip_of_unannounced_size_gets_one(tmp_path: Path) -> None:
    async with foreign_server(M.zip) as url:
        storage = open_external_storage(url)
        async with await storage.open_zip(M.wanted) as stored:
            assert stored.size_bytes == len(M.zip)
            assert b"".join([chunk async for chunk in stored.chunks(offset=3, length=9)]) == M.zip[3:12]
        await storage.close()


async def test_a_read_is_sent_again_when_the_service_closes_the_connection() -> None:
    asked = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        if asked > 2:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nv1.0.0\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        storage = open_external_storage(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        assert await storage.versions(M.wanted.path) == ["v1.0.0"]
        await storage.close()

    assert asked == 3


async def test_a_service_that_is_gone_is_named_with_the_next_step() -> None:
    storage = open_external_storage("http://127.0.0.1:1/store")
    with pytest.raises(StorageError, match=r"external storage http://127.0.0.1:1/store: .*check that the service runs"):
        await storage.check()
    await storage.close()


@pytest.mark.parametrize("url", ["", "ftp://host/", "http://host/?a=b", "http://user:secret@example.com/store"])
async def test_an_address_that_cannot_be_used_safely_is_refused(url: str) -> None:
    with pytest.raises(StorageError) as caught:
        open_external_storage(url)
    assert "secret" not in str(caught.value)
