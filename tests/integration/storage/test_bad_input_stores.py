"""Stores that fail while they are used: gone in the middle of a zip, full, read-only, with a wrong password.

Each failure names the store, what was attempted and the next step, and loses nothing of what is stored.
"""

from __future__ import annotations

import asyncio
import filecmp
import random
import shutil
import subprocess
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pytest
from aiohttp import web

from athens_proxy.errors import ModuleNotFound, StorageError
from athens_proxy.server import Listener, listening
from athens_proxy.storage.external import open_external_storage
from athens_proxy.storage.mongo import MongoSettings, open_mongo_storage
from athens_proxy.storage.object_layout import VersionFolders
from athens_proxy.storage.object_store import ObjectStorage
from athens_proxy.storage.obstore_client import ObstoreClient
from athens_proxy.storage.s3 import S3Bucket, S3Credentials, s3_store
from athens_proxy.storage.storage import FetchedModule, Storage
from support import mongo_server, object_servers, proxy_process
from support.goproxy_server import GoProxyServer
from support.modules_fixture import SampleModule, zip_bytes
from support.object_servers import ACCESS_KEY, REGION, SECRET_KEY, ObjectServer, make_s3_bucket, new_name
from support.object_stores import SUMS, new_bucket, object_storage
from support.processes import ProcessFailed, RunningProcess
from support.proxy_process import Settings
from support.store_settings import s3_settings

SMALL = SampleModule("example.com/small")
BIG = SampleModule("example.com/big")
BIG_BYTES = 12_000_000
MID_STREAM_BYTES = 4_000_000
DEADLINE_S = 60.0


@dataclass(frozen=True)
class Remote:
    """A store behind a server that a test may kill, and how its errors begin."""

    storage: Storage
    process: RunningProcess
    name: str


async def mongo(folder: Path, stack: AsyncExitStack) -> Remote:
    server = stack.enter_context(mongo_server.ferretdb(folder))
    settings = MongoSettings(f"{server.url}?serverSelectionTimeoutMS=4000&timeoutMS=12000", "athens_test")
    storage = await open_mongo_storage(settings, sums=SUMS)
    return Remote(storage, server.process, "mongo database athens_test: ")


async def external(folder: Path, stack: AsyncExitStack) -> Remote:
    settings = Settings("off", env={"ATHENS_STORAGE_SERVE": "true"})
    server = stack.enter_context(proxy_process.running(folder, settings))
    return Remote(open_external_storage(f"{server.url}/-/store"), server.process, "external storage http://127.0.0.1:")


def bucket(
    kind: str, run: Callable[[Path], AbstractContextManager[ObjectServer]]
) -> Callable[[Path, AsyncExitStack], Awaitable[Remote]]:
    async def open_one(folder: Path, stack: AsyncExitStack) -> Remote:
        server = stack.enter_context(run(folder))
        name = new_bucket(kind, server)
        storage = await object_storage(kind, server.url, name)
        return Remote(storage, server.process, f"{kind} {'container' if kind == 'azureblob' else 'bucket'} {name}: ")

    return open_one


REMOTES = {
    "mongo": mongo,
    "external": external,
    "s3": bucket("s3", object_servers.versitygw),
    "gcs": bucket("gcs", object_servers.fake_gcs),
    "azureblob": bucket("azureblob", object_servers.azurite),
}


@pytest.fixture(params=REMOTES)
async def remote(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Remote]:
    """A server of this test's own."""
    (tmp_path / "server").mkdir()
    async with AsyncExitStack() as stack:
        found = await REMOTES[request.param](tmp_path / "server", stack)
        stack.push_async_callback(found.storage.close)
        yield found


@pytest.fixture(scope="module")
def big_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip of `BIG`, packed without compression."""
    path = tmp_path_factory.mktemp("big") / "source.zip"
    noise = random.Random(7).randbytes(BIG_BYTES)
    entries = [(f"{BIG.wanted}/go.mod", BIG.mod), (f"{BIG.wanted}/noise.bin", noise)]
    path.write_bytes(zip_bytes(entries, compression=zipfile.ZIP_STORED))
    return path


@pytest.fixture
def big(big_zip: Path, scratch: Path) -> FetchedModule:
    """`BIG` as a fetcher hands it over."""
    copy = scratch / "big.zip"
    shutil.copyfile(big_zip, copy)
    h1 = SUMS.of_zip(copy, BIG.wanted)
    return FetchedModule(BIG.wanted, BIG.info, BIG.mod, copy, copy.stat().st_size, h1, SUMS.of_mod(BIG.mod))


def read_by(process: RunningProcess) -> int:
    """Bytes that the process has read so far, from sockets as well."""
    (line,) = [row for row in Path(f"/proc/{process.pid}/io").read_text().splitlines() if row.startswith("rchar:")]
    return int(line.split()[1])


def kill(process: RunningProcess) -> None:
    process.child.kill()
    process.child.wait()


async def save_under_way(remote: Remote, big: FetchedModule) -> asyncio.Task[None]:
    """A save of which the server has read a good part, but not all; on a busy machine we may look too late for that."""
    while True:
        before = read_by(remote.process)
        saving = asyncio.create_task(remote.storage.save(big))
        while read_by(remote.process) < before + MID_STREAM_BYTES:
            await asyncio.wait({saving}, timeout=0.001)
            if saving.done():
                break
        if not saving.done():
            return saving
        await saving
        await remote.storage.delete(BIG.wanted)


@pytest.mark.parametrize("remote", ["mongo", "external"], indirect=True)
async def test_a_server_that_goes_while_a_zip_is_read_ends_it_with_an_error(remote: Remote, big: FetchedModule) -> None:
    await remote.storage.save(big)

    async with await remote.storage.open_zip(BIG.wanted) as stored:
        chunks = stored.chunks()
        await anext(chunks)
        kill(remote.process)
        with pytest.raises(StorageError) as caught:
            _ = [chunk async for chunk in chunks]

    assert str(caught.value).startswith(remote.name)
    assert "example.com/big" in str(caught.value)


async def test_a_server_that_goes_while_a_zip_is_saved_is_an_error_with_the_next_step(
    remote: Remote, big: FetchedModule, big_zip: Path
) -> None:
    saving = await save_under_way(remote, big)
    kill(remote.process)

    with pytest.raises(StorageError) as caught:
        await saving

    assert str(caught.value).startswith(remote.name)
    assert "check" in str(caught.value).rpartition(";")[2]
    assert filecmp.cmp(big.zip_path, big_zip, shallow=False)


@contextmanager
def small_disk(folder: Path, *, size_bytes: int) -> Iterator[Path]:
    """A file system of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "none", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def make_read_only(folder: Path) -> None:
    """At the first moment in which no file of it is open for writing."""
    deadline = monotonic() + DEADLINE_S
    while (done := subprocess.run(["mount", "-o", "remount,ro", folder], check=False)).returncode:
        assert monotonic() < deadline, done


async def test_a_disk_that_became_read_only_serves_what_it_holds_and_says_why_it_takes_no_more(tmp_path: Path) -> None:
    new = SampleModule("example.com/new")
    async with GoProxyServer([SMALL, new]).running() as upstream:
        with small_disk(tmp_path / "proxy" / "store", size_bytes=1_000_000) as store:
            async with proxy_process.running_beside(tmp_path / "proxy", Settings(upstream.url)) as proxy:
                first = await asyncio.to_thread(proxy.ask, "/example.com/small/@v/v1.0.0.zip")
                make_read_only(store)
                held, refused, ready = [
                    await asyncio.to_thread(proxy.ask, target)
                    for target in (
                        "/example.com/small/@v/v1.0.0.zip",
                        "/example.com/new/@v/v1.0.0.zip",
                        "/readyz",
                    )
                ]

    assert (first.status, held.status, held.body) == (200, 200, SMALL.zip)
    assert refused.status == 500
    assert "Read-only file system; make that folder writable" in refused.text
    assert ready.status == 503
    assert f"not ready: write to {store}: Read-only file system" in ready.text


def test_a_start_on_a_read_only_disk_ends_with_one_line_that_says_so(tmp_path: Path) -> None:
    with small_disk(tmp_path / "proxy" / "store", size_bytes=1_000_000) as store:
        make_read_only(store)
        with pytest.raises(ProcessFailed) as ended, proxy_process.running(tmp_path / "proxy", Settings("off")):
            pass

    said = str(ended.value)
    assert f"ATHENS_DISK_STORAGE_ROOT: open the disk storage {store}: Read-only file system; mount it" in said
    assert "Traceback" not in said


async def test_a_mongo_server_that_refuses_the_credential_is_named_without_the_password(tmp_path: Path) -> None:
    """FerretDB with this backend knows no users: it refuses every one of them, as any server does a wrong one."""
    with mongo_server.ferretdb(tmp_path) as server:
        url = server.url.replace("mongodb://", "mongodb://someone:s3cret@")
        with pytest.raises(StorageError) as caught:
            await open_mongo_storage(MongoSettings(url, "athens_test"), sums=SUMS)

    assert str(caught.value).startswith("mongo database athens_test: ")
    assert str(caught.value).endswith("check user, password and authSource in Storage.Mongo.URL")
    assert "s3cret" not in str(caught.value)


async def test_a_mongo_server_whose_disk_is_full_takes_no_more_and_keeps_what_it_has(
    tmp_path: Path, big: FetchedModule
) -> None:
    with small_disk(tmp_path / "server", size_bytes=8_000_000) as folder, mongo_server.ferretdb(folder) as server:
        storage = await open_mongo_storage(MongoSettings(server.url, "athens_test"), sums=SUMS)
        await storage.save(SMALL.fetched(tmp_path))
        with pytest.raises(StorageError, match=r"^mongo database athens_test: save example.com/big@v1.0.0: .*full"):
            await storage.save(big)

        assert await storage.mod(SMALL.wanted) == SMALL.mod
        with pytest.raises(ModuleNotFound):
            await storage.info(BIG.wanted)
        await storage.close()


Answer = Callable[[web.BaseRequest], web.StreamResponse]


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[Storage]:
    """An external store behind a server that is no module store."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return answer(request)

    async with listening(handle, Listener(host="127.0.0.1", port=0)) as address:
        storage = open_external_storage(f"http://127.0.0.1:{address.rpartition(':')[2]}")
        try:
            yield storage
        finally:
            await storage.close()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            lambda _: web.Response(text="<html>log in</html>", content_type="text/html"),
            "is no .info of example.com/small",
        ),
        (lambda _: web.Response(status=302, headers={"Location": "https://login.example.com/"}), "status 302"),
        (lambda _: web.Response(status=500, text="out of order"), "status 500: out of order"),
        (lambda _: web.Response(status=204), "status 204"),
    ],
    ids=["login page", "login redirect", "broken", "empty"],
)
async def test_an_external_server_that_is_something_else_is_told_with_the_next_step(answer: Answer, says: str) -> None:
    async with answering(answer) as storage:
        with pytest.raises(StorageError) as caught:
            await storage.info(SMALL.wanted)

    assert str(caught.value).startswith("external storage http://127.0.0.1:")
    assert says in str(caught.value)
    assert "Storage.External.URL" in str(caught.value)


@pytest.mark.parametrize("kind", ["disk", "s3"])
async def test_a_proxy_whose_stored_zip_was_damaged_serves_the_right_one_again(tmp_path: Path, kind: str) -> None:
    size_bytes = {"disk": 2_000_000, "s3": 20_000}[kind]  # the small one is answered from memory meanwhile
    module = SampleModule("example.com/big", files={"noise.bin": random.Random(3).randbytes(size_bytes)})
    target, whole = "/example.com/big/@v/v1.0.0.zip", module.zip
    with ExitStack() as stack:
        settings: dict[str, str] = {}
        if kind == "s3":
            server = stack.enter_context(object_servers.versitygw(tmp_path))
            settings = s3_settings(server, object_servers.make_s3_bucket(server, "modules"))
            stored = server.data / "modules/example.com/big/@v/v1.0.0.zip"
        else:
            stored = tmp_path / "proxy/store/example.com/big/v1.0.0/source.zip"
        async with GoProxyServer([module]).running() as upstream:
            async with proxy_process.running_beside(tmp_path / "proxy", Settings(upstream.url, env=settings)) as proxy:
                assert (await asyncio.to_thread(proxy.ask, target)).body == whole
            damaged = bytearray(whole)
            damaged[len(whole) // 2] ^= 1
            stored.write_bytes(damaged)
            async with proxy_process.running_beside(tmp_path / "proxy", Settings(upstream.url, env=settings)) as proxy:
                answer = await asyncio.to_thread(proxy.ask, target)
                if kind == "s3":
                    await asyncio.to_thread(
                        proxy.process.wait_until,
                        lambda: "is damaged" in proxy.process.logged(),
                        what="aware of the damage",
                        deadline_s=DEADLINE_S,
                    )
                    answer = await asyncio.to_thread(proxy.ask, target)

    assert (answer.status, answer.body) == (200, whole)
    assert stored.read_bytes() == whole


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"secret_key": "s3cret-that-is-wrong"}, "check access key and secret"),
        ({"access_key": "nobody"}, "check access key and secret"),
        ({"name": "no-such-bucket"}, "does not exist: create it"),
        ({"region": "eu-other-1"}, "check the region"),
    ],
    ids=["secret", "access key", "bucket", "region"],
)
async def test_minio_says_what_is_wrong_with_its_settings(
    minio_server: ObjectServer, change: dict[str, str], says: str
) -> None:
    bucket_name = make_s3_bucket(minio_server, new_name())
    given = {"name": bucket_name, "region": REGION, "access_key": ACCESS_KEY, "secret_key": SECRET_KEY, **change}
    place = S3Bucket(given["name"], given["region"], endpoint=minio_server.url, path_style=True)
    credentials = S3Credentials(access_key=given["access_key"], secret_key=given["secret_key"])
    storage = ObjectStorage(
        ObstoreClient(s3_store(place, credentials), name=f"minio bucket {place.name}"), VersionFolders(), sums=SUMS
    )

    for ask in (storage.check, lambda: storage.info(SMALL.wanted), lambda: storage.versions(SMALL.wanted.path)):
        with pytest.raises(StorageError) as caught:
            await ask()
        assert str(caught.value).startswith(f"minio bucket {place.name}: ")
        assert says in str(caught.value)
        assert "s3cret" not in str(caught.value)
    await storage.close()
