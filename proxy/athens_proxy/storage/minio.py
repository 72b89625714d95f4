"""MinIO as Athens uses it: its own layout, a static key, the bucket in the path and made at start if it is missing.

Any S3 service will do; Athens' MinIO and S3 drivers do not share a bucket, because their layouts differ.
"""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp
import obstore
from yarl import URL

from athens_proxy.errors import StorageError
from athens_proxy.storage.object_layout import VersionFolders, root_of
from athens_proxy.storage.object_store import ObjectStorage
from athens_proxy.storage.obstore_client import OPERATION_S, ObstoreClient
from athens_proxy.storage.s3 import S3Bucket, S3Credentials, s3_store
from athens_proxy.storage.sums import Sums

if TYPE_CHECKING:
    from obstore.store import S3Store


async def open_minio_storage(bucket: S3Bucket, credentials: S3Credentials, *, prefix: str, sums: Sums) -> ObjectStorage:
    """A store in Athens' MinIO layout below an optional prefix; makes the bucket if it does not exist.

    Raises:
        StorageError: the bucket can neither be used nor made.
    """
    store = s3_store(bucket, credentials)
    name = f"minio bucket {bucket.name}"
    storage = ObjectStorage(ObstoreClient(store, name=name), VersionFolders(root_of(prefix)), sums=sums)
    try:
        await storage.check()
    except StorageError as problem:
        if not await _made(store):
            raise problem
        await storage.check()
    return storage


async def _made(store: S3Store) -> bool:
    """Whether the bucket could be made; obstore has no such request, but signs it."""
    url = await obstore.sign_async(store, "PUT", "", timedelta(seconds=OPERATION_S))
    timeout = aiohttp.ClientTimeout(total=OPERATION_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.put(URL(url, encoded=True)) as response:
            return response.ok or response.status == HTTPStatus.CONFLICT
    except (aiohttp.ClientError, TimeoutError):
        return False
