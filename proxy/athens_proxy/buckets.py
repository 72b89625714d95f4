"""The wiring of the stores in buckets: settings become a store that answered once, or one line that says why not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from athens_proxy.config.object_section import ObjectSection
from athens_proxy.config.sections import Config
from athens_proxy.errors import CannotStart, StorageError
from athens_proxy.storage.sums import Sums

if TYPE_CHECKING:
    from athens_proxy.storage.object_store import ObjectStorage
    from athens_proxy.storage.s3 import S3Bucket, S3Credentials

# StorageType -> the extra that installs its client, and the key that names the bucket
BUCKET_TYPES: Final = {
    "s3": ("s3", "Storage.S3.Bucket"),
    "minio": ("s3", "Storage.Minio.Bucket"),
    "gcp": ("gcs", "Storage.GCP.Bucket"),
    "azureblob": ("azure", "Storage.AzureBlob.ContainerName"),
}


async def open_bucket_storage(config: Config, environ: Mapping[str, str], *, sums: Sums) -> ObjectStorage:
    """The store of a `StorageType` that is in `BUCKET_TYPES`.

    Args:
        config: every setting.
        environ: names a file of certificates (`SSL_CERT_FILE`) and an emulator (`STORAGE_EMULATOR_HOST`).
        sums: how stored files are compared with fetched ones.

    Raises:
        CannotStart: the client is not installed, or the bucket cannot be used.
    """
    extra, key = BUCKET_TYPES[config.storage.type]
    try:
        storage = await _opened(config, environ, sums)
    except ModuleNotFoundError as error:
        raise CannotStart(
            f"StorageType: {config.storage.type} needs {error.name}: install athens-operator[{extra}]"
        ) from error
    except StorageError as error:
        raise CannotStart(f"{config.origins[key].name}: {error}") from error
    try:
        await storage.check()
    except StorageError as error:
        await storage.close()
        raise CannotStart(f"{config.origins[key].name}: {error}") from error
    return storage


async def _opened(config: Config, environ: Mapping[str, str], sums: Sums) -> ObjectStorage:
    """Imports are here: an installation has the clients of its own store only."""
    settings, certificates = config.objects, _certificates(environ)
    match config.storage.type:
        case "s3":
            from athens_proxy.storage.s3 import open_s3_storage

            bucket, credentials = _s3(settings, certificates)
            return open_s3_storage(bucket, credentials, prefix=settings.s3_prefix, sums=sums)
        case "minio":
            from athens_proxy.storage.minio import open_minio_storage

            bucket, credentials = _minio(settings, certificates)
            return await open_minio_storage(bucket, credentials, prefix=settings.minio_prefix, sums=sums)
        case "gcp":
            return await _gcs(config, environ, sums)
        case _:
            return _azure(settings, certificates, sums)


def _s3(settings: ObjectSection, certificates: bytes) -> tuple[S3Bucket, S3Credentials]:
    from athens_proxy.storage.s3 import S3Bucket, S3Credentials

    bucket = S3Bucket(
        settings.s3_bucket,
        settings.s3_region,
        endpoint=settings.s3_endpoint,
        path_style=settings.s3_path_style,
        root_certificates=certificates,
    )
    return bucket, S3Credentials(
        access_key=settings.s3_key,
        secret_key=settings.s3_secret.reveal(),
        session_token=settings.s3_token.reveal(),
        endpoint=settings.s3_credentials_endpoint,
        relative_uri=settings.s3_credentials_uri,
        use_default=settings.s3_default_chain,
    )


def _minio(settings: ObjectSection, certificates: bytes) -> tuple[S3Bucket, S3Credentials]:
    from athens_proxy.storage.s3 import S3Bucket, S3Credentials

    bucket = S3Bucket(
        settings.minio_bucket,
        settings.minio_region,
        endpoint=f"{'https' if settings.minio_tls else 'http'}://{settings.minio_endpoint}",
        path_style=True,
        root_certificates=certificates,
    )
    return bucket, S3Credentials(access_key=settings.minio_key, secret_key=settings.minio_secret.reveal())


async def _gcs(config: Config, environ: Mapping[str, str], sums: Sums) -> ObjectStorage:
    from athens_proxy.storage.gcs import InvalidKey, json_key, open_gcs_storage

    settings = config.objects
    try:
        key = json_key(settings.gcs_json_key.reveal()) if settings.gcs_json_key else ""
    except InvalidKey as error:
        raise CannotStart(f"{config.origins['Storage.GCP.JSONKey'].name}: {error}") from error
    emulator = environ.get("STORAGE_EMULATOR_HOST", "")
    if emulator and "://" not in emulator:
        emulator = f"http://{emulator}"
    return await open_gcs_storage(
        settings.gcs_bucket, key=key, prefix=settings.gcs_prefix, sums=sums, emulator=emulator
    )


def _azure(settings: ObjectSection, certificates: bytes, sums: Sums) -> ObjectStorage:
    from athens_proxy.storage.azureblob import AzureContainer, open_azure_storage

    container = AzureContainer(
        settings.azure_container,
        settings.azure_account,
        account_key=settings.azure_key.reveal(),
        managed_identity=settings.azure_identity,
        endpoint=settings.azure_endpoint,
        root_certificates=certificates,
    )
    return open_azure_storage(container, prefix=settings.azure_prefix, sums=sums)


def _certificates(environ: Mapping[str, str]) -> bytes:
    """What `SSL_CERT_FILE` adds to the system's certificates; Go programs and OpenSSL read the same variable."""
    path = environ.get("SSL_CERT_FILE", "")
    try:
        return Path(path).read_bytes() if path else b""
    except OSError as error:
        raise CannotStart(f"SSL_CERT_FILE: {path} cannot be read: {error.strerror}") from error
