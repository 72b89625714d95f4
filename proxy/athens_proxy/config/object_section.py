"""The settings of stores in buckets: `Storage.S3`, `Storage.Minio`, `Storage.GCP`, `Storage.AzureBlob`.

A table matters only when `StorageType` chooses it; a sample file's placeholders in the others harm nobody. Ours beside
Athens': `Prefix` everywhere, `Storage.AzureBlob.Endpoint`, and Azure without key and identity means the default chain.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from athens_proxy.config.sections import Key, SecretText, Section, Text
from athens_proxy.config.values import Secret, go_bool

_PREFIX: Final = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*", re.ASCII)
_PREFIX_LENGTH: Final = 200


def _checked_prefix(value: str) -> str:
    names = value.split("/")
    if value and (not _PREFIX.fullmatch(value) or len(value) > _PREFIX_LENGTH or "." in names or ".." in names):
        raise PydanticCustomError(
            "athens",
            "{message}",
            {"message": f'"{value}" is no key prefix; use names of letters, digits, "._-" with / between, at most 200'},
        )
    return value


def _without_scheme(value: str) -> str:
    return re.sub(r"^https?://", "", value).rstrip("/")


Prefix = Annotated[Text, AfterValidator(_checked_prefix)]
_NO_SECRET: Final = Secret("")


class ObjectSection(Section):
    """Buckets, and how they are reached."""

    s3_region: Annotated[Text, Key("Storage.S3.Region", "AWS_REGION")] = ""
    s3_key: Annotated[Text, Key("Storage.S3.Key", "AWS_ACCESS_KEY_ID")] = ""
    s3_secret: Annotated[SecretText, Key("Storage.S3.Secret", "AWS_SECRET_ACCESS_KEY")] = _NO_SECRET
    s3_token: Annotated[SecretText, Key("Storage.S3.Token", "AWS_SESSION_TOKEN")] = _NO_SECRET
    s3_bucket: Annotated[Text, Key("Storage.S3.Bucket", "ATHENS_S3_BUCKET_NAME")] = ""
    s3_path_style: Annotated[bool, Key("Storage.S3.ForcePathStyle", "AWS_FORCE_PATH_STYLE", go_bool)] = False
    s3_default_chain: Annotated[
        bool, Key("Storage.S3.UseDefaultConfiguration", "AWS_USE_DEFAULT_CONFIGURATION", go_bool)
    ] = False
    s3_credentials_endpoint: Annotated[Text, Key("Storage.S3.CredentialsEndpoint", "AWS_CREDENTIALS_ENDPOINT")] = ""
    s3_credentials_uri: Annotated[
        Text, Key("Storage.S3.AwsContainerCredentialsRelativeURI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    ] = ""
    s3_endpoint: Annotated[Text, Key("Storage.S3.Endpoint", "AWS_ENDPOINT")] = ""
    s3_prefix: Annotated[Prefix, Key("Storage.S3.Prefix", "ATHENS_STORAGE_S3_PREFIX")] = ""

    minio_endpoint: Annotated[
        Text, Key("Storage.Minio.Endpoint", "ATHENS_MINIO_ENDPOINT"), AfterValidator(_without_scheme)
    ] = ""
    minio_key: Annotated[Text, Key("Storage.Minio.Key", "ATHENS_MINIO_ACCESS_KEY_ID")] = ""
    minio_secret: Annotated[SecretText, Key("Storage.Minio.Secret", "ATHENS_MINIO_SECRET_ACCESS_KEY")] = _NO_SECRET
    minio_bucket: Annotated[Text, Key("Storage.Minio.Bucket", "ATHENS_MINIO_BUCKET_NAME")] = ""
    minio_region: Annotated[Text, Key("Storage.Minio.Region", "ATHENS_MINIO_REGION")] = ""
    minio_tls: Annotated[bool, Key("Storage.Minio.EnableSSL", "ATHENS_MINIO_USE_SSL", go_bool)] = False
    minio_prefix: Annotated[Prefix, Key("Storage.Minio.Prefix", "ATHENS_STORAGE_MINIO_PREFIX")] = ""

    gcs_project: Annotated[Text, Key("Storage.GCP.ProjectID", "GOOGLE_CLOUD_PROJECT")] = ""
    gcs_bucket: Annotated[Text, Key("Storage.GCP.Bucket", "ATHENS_STORAGE_GCP_BUCKET")] = ""
    gcs_json_key: Annotated[SecretText, Key("Storage.GCP.JSONKey", "ATHENS_STORAGE_GCP_JSON_KEY")] = _NO_SECRET
    gcs_prefix: Annotated[Prefix, Key("Storage.GCP.Prefix", "ATHENS_STORAGE_GCP_PREFIX")] = ""

    azure_account: Annotated[Text, Key("Storage.AzureBlob.AccountName", "ATHENS_AZURE_ACCOUNT_NAME")] = ""
    azure_key: Annotated[SecretText, Key("Storage.AzureBlob.AccountKey", "ATHENS_AZURE_ACCOUNT_KEY")] = _NO_SECRET
    azure_identity: Annotated[
        Text, Key("Storage.AzureBlob.ManagedIdentityResourceID", "ATHENS_AZURE_MANAGED_IDENTITY_RESOURCE_ID")
    ] = ""
    azure_scope: Annotated[Text, Key("Storage.AzureBlob.CredentialScope", "ATHENS_AZURE_CREDENTIAL_SCOPE")] = ""
    azure_container: Annotated[Text, Key("Storage.AzureBlob.ContainerName", "ATHENS_AZURE_CONTAINER_NAME")] = ""
    azure_endpoint: Annotated[Text, Key("Storage.AzureBlob.Endpoint", "ATHENS_AZURE_ENDPOINT")] = ""
    azure_prefix: Annotated[Prefix, Key("Storage.AzureBlob.Prefix", "ATHENS_STORAGE_AZUREBLOB_PREFIX")] = ""


def missing_settings(storage_type: str, section: ObjectSection, name_of: Callable[[str], str]) -> list[str]:
    """What the chosen store needs and does not have, one line each.

    Args:
        storage_type: the value of `StorageType`.
        section: the settings.
        name_of: a key as the user would look for it, by its TOML path.
    """
    needed: dict[str, dict[str, object]] = {
        "s3": {"Storage.S3.Bucket": section.s3_bucket, "Storage.S3.Region": section.s3_region or section.s3_endpoint},
        "minio": {
            "Storage.Minio.Endpoint": section.minio_endpoint,
            "Storage.Minio.Key": section.minio_key,
            "Storage.Minio.Secret": section.minio_secret,
            "Storage.Minio.Bucket": section.minio_bucket,
        },
        "gcp": {"Storage.GCP.Bucket": section.gcs_bucket},
        "azureblob": {
            "Storage.AzureBlob.AccountName": section.azure_account,
            "Storage.AzureBlob.ContainerName": section.azure_container,
        },
    }
    return [
        f"{name_of(key)}: must not be empty with StorageType {storage_type}"
        for key, value in needed.get(storage_type, {}).items()
        if not value
    ]
