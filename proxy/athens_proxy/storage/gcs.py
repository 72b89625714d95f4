"""Google Cloud Storage in Athens' layout.

Credentials: the JSON key of the settings; else Google's default credentials (the file that
GOOGLE_APPLICATION_CREDENTIALS names, workload identity, the metadata server).
"""

from __future__ import annotations

import base64
import binascii
import io
import json

from gcloud.aio.auth import Token
from gcloud.aio.storage import Storage

from athens_proxy.errors import StorageError
from athens_proxy.storage.gcs_client import GcsClient
from athens_proxy.storage.object_layout import VersionedFiles, root_of
from athens_proxy.storage.object_store import ObjectStorage
from athens_proxy.storage.sums import Sums

SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_KEY_TYPES = frozenset({"service_account", "external_account", "authorized_user", "impersonated_service_account"})


class InvalidKey(ValueError):
    """The JSON key of the settings is none; the text is Athens'."""


def json_key(encoded: str) -> str:
    """The JSON text of a base64 key.

    Raises:
        InvalidKey: it cannot be one.
    """
    try:
        text = base64.b64decode("".join(encoded.split()), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidKey("could not decode base64 json key") from error
    try:
        key = json.loads(text)
    except ValueError as error:
        raise InvalidKey("failed to parse JSON key") from error
    if not isinstance(key, dict) or "type" not in key:
        raise InvalidKey("missing 'type' field")
    if key["type"] not in _KEY_TYPES:
        raise InvalidKey("unknown credential type")
    return text


async def open_gcs_storage(bucket: str, *, key: str, prefix: str, sums: Sums, emulator: str) -> ObjectStorage:
    """A store in Athens' layout below an optional prefix; arguments and errors as of `gcs_client`."""
    client = await gcs_client(bucket, key=key, emulator=emulator)
    return ObjectStorage(client, VersionedFiles(root_of(prefix)), sums=sums)


async def gcs_client(bucket: str, *, key: str, emulator: str) -> GcsClient:
    """The bucket; nothing is asked yet.

    Args:
        bucket: must exist.
        key: JSON text of a credential, "" for the default credentials.
        emulator: URL of a test server that asks for no credential, "" for Google.

    Raises:
        StorageError: there is no credential that can be used.
    """
    if emulator:
        return GcsClient(Storage(api_root=emulator.rstrip("/"), api_is_dev=True), bucket)
    try:
        token = Token(service_file=io.StringIO(key) if key else None, scopes=[SCOPE])
    except (OSError, ValueError, KeyError) as error:
        raise StorageError(
            f"gcs bucket {bucket}: no usable credential: {type(error).__name__}; check the JSON key or the file"
            " that GOOGLE_APPLICATION_CREDENTIALS names"
        ) from error
    return GcsClient(Storage(token=token), bucket)
