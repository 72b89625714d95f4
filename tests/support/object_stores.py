"""Stores of the product in the buckets of real servers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from athens_proxy.checksums.dirhash import mod_hash1
from athens_proxy.storage.azureblob import AzureContainer, azure_client
from athens_proxy.storage.gcs import gcs_client
from athens_proxy.storage.object_claim import LEASE_S
from athens_proxy.storage.object_client import ObjectClient
from athens_proxy.storage.object_layout import ObjectLayout, VersionedFiles, VersionFolders, root_of
from athens_proxy.storage.object_store import ObjectStorage
from athens_proxy.storage.obstore_client import ObstoreClient
from athens_proxy.storage.s3 import S3Bucket, S3Credentials, s3_store
from athens_proxy.storage.sums import Sums
from athens_proxy.upstream.zipcheck import checked_zip_h1
from support.object_servers import (
    ACCESS_KEY,
    AZURE_ACCOUNT,
    AZURE_KEY,
    REGION,
    SECRET_KEY,
    ObjectServer,
    make_azure_container,
    make_gcs_bucket,
    make_s3_bucket,
    new_name,
)

OpenStorage = Callable[..., Awaitable[ObjectStorage]]
SUMS = Sums(checked_zip_h1, mod_hash1)
BACKENDS = ("s3", "minio", "gcs", "azureblob")
SERVER_OF = {"s3": "versitygw_server", "minio": "minio_server", "gcs": "gcs_server", "azureblob": "azure_server"}
CREDENTIALS = S3Credentials(access_key=ACCESS_KEY, secret_key=SECRET_KEY)


def new_bucket(backend: str, server: ObjectServer) -> str:
    """A fresh bucket or container for this backend."""
    make = {"gcs": make_gcs_bucket, "azureblob": make_azure_container}.get(backend, make_s3_bucket)
    return make(server, new_name())


async def object_client(backend: str, url: str, bucket: str) -> ObjectClient:
    """The bucket as the store sees it, for tests that put or look at single objects."""
    match backend:
        case "gcs":
            return await gcs_client(bucket, key="", emulator=url)
        case "azureblob":
            return azure_client(AzureContainer(bucket, AZURE_ACCOUNT, account_key=AZURE_KEY, endpoint=url))
        case _:
            place = S3Bucket(bucket, REGION, endpoint=url, path_style=True)
            return ObstoreClient(s3_store(place, CREDENTIALS), name=f"{backend} bucket {bucket}")


def object_layout(backend: str, prefix: str = "") -> ObjectLayout:
    """The layout of this backend."""
    return VersionFolders(root_of(prefix)) if backend == "minio" else VersionedFiles(root_of(prefix))


async def object_storage(
    backend: str, url: str, bucket: str, *, prefix: str = "", lease_s: float = LEASE_S
) -> ObjectStorage:
    """A store of this backend in a bucket that exists."""
    client = await object_client(backend, url, bucket)
    return ObjectStorage(client, object_layout(backend, prefix), sums=SUMS, lease_s=lease_s)
