"""What is said when a bucket cannot be used: which bucket, which key, why, what to do; and never a secret."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from athens_proxy.errors import StorageError
from athens_proxy.storage.azureblob import AzureContainer, azure_client
from athens_proxy.storage.gcs import gcs_client
from athens_proxy.storage.object_client import ObjectClient
from athens_proxy.storage.object_layout import VersionedFiles
from athens_proxy.storage.object_store import ObjectStorage
from athens_proxy.storage.obstore_client import ObstoreClient
from athens_proxy.storage.s3 import S3Bucket, S3Credentials, s3_store
from support import object_servers
from support.authority import Authority
from support.modules_fixture import SampleModule
from support.object_servers import AZURE_ACCOUNT, AZURE_KEY, REGION, ObjectServer, make_s3_bucket
from support.object_stores import CREDENTIALS, SUMS

Start = Callable[[Path], AbstractContextManager[ObjectServer]]
SECRET = "s3cr3t-that-nobody-may-see"
M = SampleModule()
BIG = SampleModule(files={"noise.bin": random.Random(7).randbytes(24_000_000)})


def s3_client(place: S3Bucket, credentials: S3Credentials = CREDENTIALS) -> ObjectClient:
    return ObstoreClient(s3_store(place, credentials), name=f"s3 bucket {place.name}")


def storage_of(client: ObjectClient) -> ObjectStorage:
    return ObjectStorage(client, VersionedFiles(), sums=SUMS)


async def failures(client: ObjectClient, scratch: Path) -> dict[str, str]:
    """What each operation says, by its name."""
    storage = storage_of(client)
    asked: dict[str, Callable[[], Awaitable[object]]] = {
        "check": storage.check,
        "info": lambda: storage.info(M.wanted),
        "zip": lambda: storage.open_zip(M.wanted),
        "list": lambda: storage.versions(M.wanted.path),
        "catalog": lambda: storage.catalog(token="", limit=1),
        "save": lambda: storage.save(M.fetched(scratch)),
    }
    said = {}
    for name, ask in asked.items():
        with pytest.raises(StorageError) as caught:
            await ask()
        said[name] = str(caught.value)
    await storage.close()
    return said


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda place: (place, replace(CREDENTIALS, secret_key=SECRET)), "check access key and secret"),
        (lambda place: (place, replace(CREDENTIALS, access_key="nobody")), "check access key and secret"),
        (lambda place: (place, replace(CREDENTIALS, session_token=SECRET)), "renew the credential"),
        (lambda place: (replace(place, name="no-such-bucket"), CREDENTIALS), "does not exist: create it"),
        (lambda place: (replace(place, region="eu-other-1"), CREDENTIALS), "check the region"),
        (lambda place: (replace(place, endpoint="http://127.0.0.1:9"), CREDENTIALS), "check the endpoint"),
    ],
    ids=["secret", "access key", "expired token", "bucket", "region", "endpoint"],
)
async def test_every_operation_on_an_s3_bucket_names_bucket_cause_and_next_step(
    versitygw_server: ObjectServer,
    scratch: Path,
    change: Callable[[S3Bucket], tuple[S3Bucket, S3Credentials]],
    says: str,
) -> None:
    bucket = make_s3_bucket(versitygw_server, object_servers.new_name())
    place, credentials = change(S3Bucket(bucket, REGION, endpoint=versitygw_server.url, path_style=True))

    said = await failures(s3_client(place, credentials), scratch)

    for operation, text in said.items():
        assert text.startswith(f"s3 bucket {place.name}: "), (operation, text)
        assert says in text, (operation, text)
        assert SECRET not in text
        assert text.isprintable()


@pytest.mark.parametrize(
    ("container", "key", "says"),
    [
        ("no-such-container", AZURE_KEY, "does not exist: create it"),
        ("modules", "c2VjcmV0LXRoYXQtbm9ib2R5LW1heS1zZWU=", "check access key and secret"),
    ],
    ids=["container", "key"],
)
async def test_every_operation_on_an_azure_container_does_so_too(
    azure_server: ObjectServer, scratch: Path, container: str, key: str, says: str
) -> None:
    place = AzureContainer(container, AZURE_ACCOUNT, account_key=key, endpoint=azure_server.url)

    for operation, text in (await failures(azure_client(place), scratch)).items():
        assert text.startswith(f"azureblob container {container}: "), (operation, text)
        assert says in text, (operation, text)
        assert key not in text
        assert text.isprintable()


async def test_a_missing_gcs_bucket_is_named_by_check_lists_and_saves(gcs_server: ObjectServer, scratch: Path) -> None:
    storage = storage_of(await gcs_client("no-such-bucket", key="", emulator=gcs_server.url))

    for ask in (
        storage.check,
        lambda: storage.versions(M.wanted.path),
        lambda: storage.save(M.fetched(scratch)),
    ):
        with pytest.raises(StorageError, match=r"^gcs bucket no-such-bucket: .* does not exist: create it"):
            await ask()
    await storage.close()


@pytest.mark.parametrize("run", [object_servers.versitygw, object_servers.azurite, object_servers.fake_gcs])
async def test_a_server_that_goes_in_mid_stream_is_an_error(tmp_path: Path, scratch: Path, run: Start) -> None:
    with run(tmp_path) as server:
        client = await _client_of(run, server)
        storage = storage_of(client)
        await storage.save(BIG.fetched(scratch))
        async with await storage.open_zip(BIG.wanted) as stored:
            chunks = stored.chunks()
            await anext(chunks)
            server.process.stop()
            with pytest.raises(StorageError, match=r"read .*v1\.0\.0\.zip"):
                _ = [chunk async for chunk in chunks]
        await storage.close()


async def _client_of(run: Start, server: ObjectServer) -> ObjectClient:
    name = object_servers.new_name()
    if run is object_servers.versitygw:
        return s3_client(S3Bucket(make_s3_bucket(server, name), REGION, endpoint=server.url, path_style=True))
    if run is object_servers.fake_gcs:
        return await gcs_client(object_servers.make_gcs_bucket(server, name), key="", emulator=server.url)
    container = object_servers.make_azure_container(server, name)
    return azure_client(AzureContainer(container, AZURE_ACCOUNT, account_key=AZURE_KEY, endpoint=server.url))


async def test_a_private_authority_is_trusted_when_it_is_named(tmp_path: Path, authority: Authority) -> None:
    with object_servers.versitygw(tmp_path, certificate=authority.cert_file, key=authority.key_file) as server:
        place = S3Bucket(make_s3_bucket(server, "modules"), REGION, endpoint=server.url, path_style=True)

        with pytest.raises(StorageError, match="check the endpoint"):
            await storage_of(s3_client(place)).check()
        await storage_of(s3_client(replace(place, root_certificates=authority.ca_file.read_bytes()))).check()
