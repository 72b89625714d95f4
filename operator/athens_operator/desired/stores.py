"""The store in the proxy's configuration: the table of `Storage` that the spec's member becomes, and its variables."""

from __future__ import annotations

from typing import Final

from athens_operator.desired import toml
from athens_operator.manifests import Manifest
from athens_operator.spec.storage import AzureBlob, Storage, StorageType

TYPE_NAMES: Final = {StorageType.GCS: "gcp", StorageType.AZURE_BLOB: "azureblob"}
"""Athens' names where they differ from those of the spec."""


def storage_type(storage: Storage) -> str:
    """The value of `StorageType`."""
    return TYPE_NAMES.get(storage.type, storage.type.value)


def storage_table(storage: Storage) -> toml.Table:
    """The tables below `Storage`; secrets are variables and never here."""
    return {
        **({"Disk": {"RootPath": storage.disk.path}} if storage.disk else {}),
        **_buckets(storage),
        **_services(storage),
    }


def storage_variables(storage: Storage) -> list[Manifest]:
    """What the store reads from the environment and is no secret; Athens loses the Mongo names of the file."""
    variables: list[Manifest] = []
    if storage.mongo:
        variables += [
            {"name": "ATHENS_MONGO_DEFAULT_DATABASE", "value": storage.mongo.database},
            {"name": "ATHENS_MONGO_DEFAULT_COLLECTION", "value": storage.mongo.collection},
        ]
    if storage.gcs and storage.gcs.credentials_secret_ref:
        variables.append({"name": "GOOGLE_APPLICATION_CREDENTIALS", "value": "/etc/athens/gcs/key.json"})
    return variables


def _buckets(storage: Storage) -> toml.Table:
    if storage.s3:
        s3 = storage.s3
        return {
            "S3": {
                "Bucket": s3.bucket,
                "Region": s3.region,
                "Prefix": s3.prefix,
                "Endpoint": s3.endpoint,
                "ForcePathStyle": s3.force_path_style,
                "UseDefaultConfiguration": s3.credentials_secret_ref is None,
            }
        }
    if storage.minio:
        minio = storage.minio
        return {
            "Minio": {
                "Endpoint": minio.endpoint,
                "Bucket": minio.bucket,
                "Prefix": minio.prefix,
                "Region": minio.region,
                "EnableSSL": minio.tls,
            }
        }
    if storage.gcs:
        return {
            "GCP": {
                "Bucket": storage.gcs.bucket,
                "ProjectID": storage.gcs.project_id,
                "Prefix": storage.gcs.prefix,
            }
        }
    return {"AzureBlob": _azure(storage.azure_blob)} if storage.azure_blob else {}


def _azure(azure: AzureBlob) -> toml.Table:
    identity = azure.managed_identity
    return {
        "AccountName": azure.account_name,
        "ContainerName": azure.container_name,
        "Prefix": azure.prefix,
        **({"ManagedIdentityResourceID": identity.resource_id, "CredentialScope": identity.scope} if identity else {}),
    }


def _services(storage: Storage) -> toml.Table:
    if storage.mongo:
        mongo = storage.mongo
        return {
            "Mongo": {
                **({"CertPath": "/etc/athens/mongo/ca.crt"} if mongo.ca_ref else {}),
                "InsecureConn": mongo.insecure_skip_verify,
            }
        }
    return {"External": {"URL": storage.external.url}} if storage.external else {}
