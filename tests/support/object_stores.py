"""Stores of the product in the buckets of real servers."""

from __future__ import annotations

from athens_proxy.checksums.dirhash import mod_hash1
from athens_proxy.storage.azureblob import AzureContainer, open_azure_storage
from athens_proxy.storage.disk_save import Sums
from athens_proxy.storage.gcs import open_gcs_storage
from athens_proxy.storage.minio import open_minio_storage
from athens_proxy.storage.object_store import ObjectStorage
from athens_proxy.storage.s3 import S3Bucket, S3Credentials, open_s3_storage
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

SUMS = Sums(checked_zip_h1, mod_hash1)
BACKENDS = ("s3", "minio", "gcs", "azureblob")
SERVER_OF = {"s3": "versitygw_server", "minio": "minio_server", "gcs": "gcs_server", "azureblob": "azure_server"}
CREDENTIALS = S3Credentials(access_key=ACCESS_KEY, secret_key=SECRET_KEY)


def new_bucket(backend: str, server: ObjectServer) -> str:
    """A fresh bucket or container for this backend."""
    make = {"gcs": make_gcs_bucket, "azureblob": make_azure_container}.get(backend, make_s3_bucket)
    return make(server, new_name())


async def object_storage(backend: str, server: ObjectServer, bucket: str, *, prefix: str = "") -> ObjectStorage:
    """A store of this backend in a bucket that exists."""
    match backend:
        case "gcs":
            return await open_gcs_storage(bucket, key="", prefix=prefix, sums=SUMS, emulator=server.url)
        case "azureblob":
            container = AzureContainer(bucket, AZURE_ACCOUNT, account_key=AZURE_KEY, endpoint=server.url)
            return open_azure_storage(container, prefix=prefix, sums=SUMS)
        case "minio":
            place = S3Bucket(bucket, REGION, endpoint=server.url, path_style=True)
            return await open_minio_storage(place, CREDENTIALS, prefix=prefix, sums=SUMS)
        case _:
            place = S3Bucket(bucket, REGION, endpoint=server.url, path_style=True)
            return open_s3_storage(place, CREDENTIALS, prefix=prefix, sums=SUMS)
